"""The verb: classes, lineage, nesting, and what it refuses."""

import pytest
import torch
from torch import nn

from modellego.assembly import assemble
from modellego.brick import Assembled, Brick, load
from modellego.data import ImageSet
from modellego.errors import AssemblyError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick
from tests.assembly.nets import random_brick, relative

IMAGES = torch.rand(4, 3, 7, 9, generator=torch.Generator().manual_seed(0))


def unlike() -> list[Brick]:
    grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 2))
    return [
        random_brick("plain", 4, 2, 0, torch.float32, prefix="a"),
        whole_brick(grey, Preprocess(1, 8, 8, (0.1,), (0.3,), resize="crop"), ["x", "y"]),
        random_brick("concat", 3, 3, 1, torch.float32, prefix="b", size=10),
    ]


def test_parallel_concatenates_the_logits_of_any_bricks() -> None:
    bricks = unlike()
    both = assemble(bricks)
    assert isinstance(both, Assembled)
    assert torch.equal(both(IMAGES), torch.cat([b(IMAGES) for b in bricks], 1))
    assert both.classes == ("a0", "a1", "x", "y", "b0", "b1", "b2")


def test_assembled_bricks_can_be_assembled() -> None:
    a, b, c = unlike()
    assert torch.equal(assemble([assemble([a, b]), c])(IMAGES), assemble([a, b, c])(IMAGES))


@pytest.mark.filterwarnings("ignore:no sample of")
def test_an_assembled_brick_has_its_logits_scaled() -> None:
    a, b, c = unlike()
    classes = ["a0", "a1", "x", "y", "b0", "b1", "b2"]
    data = ImageSet.from_tensor(torch.rand(28, 3, 9, 9), [i % 7 for i in range(28)], classes)
    nested = assemble([assemble([a, b]), c], scale="logits", data=data)
    assert nested.joint.scale is not None
    assert len(nested.joint.scale) == 7


def test_the_bricks_are_copies() -> None:
    bricks = unlike()
    with torch.no_grad():
        for p in assemble(bricks).parameters():
            p.zero_()
    assert all(any(p.any() for p in b.parameters()) for b in bricks)


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_equal_names_get_a_prefix(layout: str) -> None:
    bricks = [random_brick("plain", 3, 2, 0), random_brick("plain", 3, 3, 1)]
    assert assemble(bricks, layout=layout).classes == ("plain0/c0", "plain0/c1", "plain1/c0", "plain1/c1", "c2")
    assert assemble(bricks, layout=layout, names=["pets", "zoo"]).classes[0] == "pets/c0"


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_equal_names_merge_by_log_sum_exp(layout: str) -> None:
    bricks = [random_brick("plain", 3, 2, 0), random_brick("plain", 3, 3, 1), random_brick("plain", 4, 1, 2)]
    merged = assemble(bricks, layout=layout, merge_equal_classes=True)
    a, b, c = (brick(IMAGES) for brick in bricks)
    want = torch.stack(
        [torch.stack([a[:, 0], b[:, 0], c[:, 0]]).logsumexp(0), torch.stack([a[:, 1], b[:, 1]]).logsumexp(0), b[:, 2]],
        1,
    )
    assert merged.classes == ("c0", "c1", "c2")
    assert relative(merged(IMAGES), want) < 1e-10


def test_a_merged_padded_brick_saves(tmp_path: object) -> None:
    bricks = [random_brick("plain", 3, 2, 0), random_brick("plain", 3, 3, 1)]
    merged = assemble(bricks, layout="padded", merge_equal_classes=True)
    assert torch.equal(load(merged.save(f"{tmp_path}/m.brick"))(IMAGES), merged(IMAGES))


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_lineage_holds_the_sources_of_all(layout: str) -> None:
    both = assemble([random_brick("plain", 3, 2, 0), random_brick("plain", 3, 3, 1)], layout=layout)
    assert [s.name for s in both.info.sources] == ["plain0", "plain1"]


def test_labels_find_prefixed_classes() -> None:
    bricks = [random_brick("plain", 3, 2, 0), random_brick("plain", 3, 2, 1)]
    data = ImageSet.from_tensor(
        torch.rand(8, 3, 6, 6), [0, 1, 2, 3] * 2, ["plain0/c0", "plain0/c1", "plain1/c0", "plain1/c1"]
    )
    assemble(bricks, scale="layers", data=data)


def test_one_brick_is_not_enough() -> None:
    with pytest.raises(AssemblyError, match="two bricks or more"):
        assemble([random_brick("plain", 3, 2, 0)])


def test_assembled_bricks_cannot_be_padded() -> None:
    a, b, c = unlike()
    with pytest.raises(AssemblyError, match="brick is assembled of several networks"):
        assemble([assemble([a, b]), c], layout="padded")


def test_names_must_be_distinct() -> None:
    with pytest.raises(AssemblyError, match="different name for each"):
        assemble(unlike(), names=["a", "b", "b"])


def test_unknown_words_are_refused() -> None:
    with pytest.raises(AssemblyError, match="no layout 'stacked'"):
        assemble(unlike(), layout="stacked")  # type: ignore[arg-type]
