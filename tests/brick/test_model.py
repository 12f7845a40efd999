"""Bricks in memory: forward, dtypes, modes, and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from modellego.brick import Assembled, Brick, BrickInfo, Joint, assembled_info
from modellego.capture import capture
from modellego.errors import AssemblyError, DataError, FormatError
from modellego.preprocess import apply

MakeBrick = Callable[..., Brick]


def test_forward_is_the_network_on_preprocessed_images(make_brick: MakeBrick, images: torch.Tensor) -> None:
    brick = make_brick()
    assert brick.info.preprocess is not None
    assert torch.equal(brick(images), brick.network(apply(brick.info.preprocess, images)))


def test_an_assembled_brick_puts_outputs_side_by_side(make_brick: MakeBrick, images: torch.Tensor) -> None:
    a, b = make_brick(("cat",), seed=1), make_brick(("car", "cup"), seed=2, channels=1)
    both = Assembled([a, b], Joint(), assembled_info([a, b], ("cat", "car", "cup")))
    assert torch.equal(both(images), torch.cat([a(images), b(images)], 1))


def test_bricks_of_unlike_dtypes_meet(make_brick: MakeBrick, images: torch.Tensor) -> None:
    a, b = make_brick(("cat",)), make_brick(("car",), dtype=torch.float64)
    both = Assembled([a, b], Joint(nn.Linear(2, 2)), assembled_info([a, b], ("cat", "car")))
    assert both(images).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_have_the_networks_dtype(make_brick: MakeBrick, images: torch.Tensor, dtype: torch.dtype) -> None:
    assert make_brick(dtype=dtype)(images).dtype == dtype


def test_without_preprocess_images_go_in_as_they_are(make_brick: MakeBrick) -> None:
    brick, x = make_brick(), torch.rand(2, 3, 8, 8)
    bare = Brick(brick.network, brick.info.changed(preprocess=None))
    assert torch.equal(bare(x), brick.network(x))


def test_without_preprocess_other_shapes_are_refused(make_brick: MakeBrick, images: torch.Tensor) -> None:
    brick = make_brick()
    with pytest.raises(DataError, match=r"\(3, 8, 8\)"):
        Brick(brick.network, brick.info.changed(preprocess=None))(images)


def test_bytes_are_refused(make_brick: MakeBrick) -> None:
    with pytest.raises(DataError, match="255"):
        make_brick()(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_edges_are_for_bricks_that_read_graphs(make_brick: MakeBrick, images: torch.Tensor) -> None:
    brick = make_brick()
    with pytest.raises(DataError, match="this brick takes images, and no edges"):
        brick(images, torch.zeros(2, 1, dtype=torch.int64))
    brick.info = brick.info.changed(inputs="graph", preprocess=None, input_shape=(3,))
    with pytest.raises(DataError, match="this brick takes a graph: node features and edge_index"):
        brick(images)


def test_features_are_what_the_last_linear_layer_reads(make_brick: MakeBrick, images: torch.Tensor) -> None:
    brick = make_brick().eval()
    head = brick.network.get_submodule("head")
    assert brick.features(images).shape == (4, 6)
    torch.testing.assert_close(head(brick.features(images)), brick(images))
    assert brick.body is brick.body


def test_a_brick_that_does_not_end_in_a_linear_layer_has_no_features() -> None:
    network = capture(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU()), (1, 2, 2))
    brick = Brick(network.graph, BrickInfo(classes=("a", "b"), input_shape=(1, 2, 2)))
    assert brick.body is None
    with pytest.raises(AssemblyError, match="it has logits but no features"):
        brick.features(torch.rand(1, 1, 2, 2))


def test_dropout_and_batch_norm_work_in_train_mode(make_brick: MakeBrick, images: torch.Tensor) -> None:
    brick = make_brick().train()
    before = brick.network.norm.running_mean.clone()
    assert not torch.equal(brick(images), brick(images))
    assert not torch.equal(brick.network.norm.running_mean, before)


def test_captured_gives_the_network_with_its_shapes(make_brick: MakeBrick) -> None:
    network = make_brick().captured()
    assert (network.input_shape, network.num_logits) == ((3, 8, 8), 3)


def test_predict_reject_follows_the_rule_of_the_info(full_brick: Brick) -> None:
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.1, 0.0, 0.0]])
    assert full_brick.predict_reject(logits).tolist() == [False, True]


def test_lineage_of_all_bricks_is_kept(full_brick: Brick) -> None:
    assert assembled_info([full_brick, full_brick], ("a",)).sources == full_brick.info.sources * 2


def test_a_class_too_many_is_refused(make_brick: MakeBrick) -> None:
    brick = make_brick()
    with pytest.raises(FormatError, match="3 logits for 2 classes"):
        Brick(brick.network, brick.info.changed(classes=("a", "b")))


def test_the_info_of_the_other_kind_is_refused(make_brick: MakeBrick) -> None:
    with pytest.raises(FormatError, match="kind"):
        Brick(make_brick().network, assembled_info([], ("a",)))


def test_assembling_nothing_is_refused() -> None:
    with pytest.raises(AssemblyError, match="nothing"):
        Assembled([], Joint(), assembled_info([], ("a",)))


def test_classes_that_do_not_fit_the_joint_are_refused(make_brick: MakeBrick) -> None:
    brick = make_brick()
    with pytest.raises(AssemblyError, match="3 logits for 1 classes"):
        Assembled([brick], Joint(), assembled_info([brick], ("a",)))


def test_the_vocabulary_knows_the_numbers_of_the_source(full_brick: Brick, make_brick: MakeBrick) -> None:
    found = full_brick.vocabulary
    assert (found.classes, dict(found.numbers), found.total) == (("cat", "dog", "fox"), {3: 0, 5: 1, 6: 2}, 10)
    without = make_brick().vocabulary
    assert (dict(without.numbers), without.total) == ({}, 0)
