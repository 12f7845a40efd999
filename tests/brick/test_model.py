"""Bricks in memory: forward, dtypes, modes, and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from modellego.brick import Assembled, Brick, Joint, assembled_info
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
