"""Classes made of several of a source's, from the cut to assemblies, files and exports."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modellego.assembly import assemble
from modellego.brick import Brick, load
from modellego.contribution.relevance import Thresholds
from modellego.curves import curve
from modellego.data import Data
from modellego.disassembly.verb import disassemble
from modellego.errors import DataError
from modellego.evaluation import evaluate, logits_of
from modellego.exporting import export
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

KEEP_ALL = Thresholds(0, 0, 0, 0)
RUNS = {"low": [0, 1, 2], "odd": [7, 9], "4": [4]}
CLASSES = "low=0-2,odd=9,odd=7,4"


@pytest.fixture(scope="module")
def uncut(net: Brick, digits: Data) -> Brick:
    return disassemble(net, digits, CLASSES, thresholds=KEEP_ALL, refit_images=0)


@pytest.fixture(scope="module")
def low(net: Brick, digits: Data) -> Brick:
    return disassemble(net, digits, "low=0-2,odd=7,odd=9", budget=Budget(macs=0.6), refit_images=10)


def test_a_class_of_several_has_the_log_sum_exp_of_their_logits(net: Brick, uncut: Brick, digits: Data) -> None:
    whole = logits_of(net, digits.train)
    wanted = torch.stack([whole[:, run].logsumexp(1) for run in RUNS.values()], 1)
    torch.testing.assert_close(logits_of(uncut, digits.train), wanted, rtol=1e-4, atol=1e-5)


def test_a_brick_says_what_its_classes_are_made_of(uncut: Brick) -> None:
    assert uncut.classes == ("low", "odd", "4")
    assert uncut.info.members == {"low": ("0", "1", "2"), "odd": ("7", "9")}
    assert uncut.info.sources[0].of == (0, 1, 2, 7, 9, 4)


def test_the_logits_of_other_classes_are_gone(uncut: Brick) -> None:
    layers = [m for m in uncut.network.modules() if isinstance(m, torch.nn.Linear)]
    assert layers[-1].out_features == 6


def test_base_is_what_the_source_answers_among_all_its_classes(net: Brick, uncut: Brick, digits: Data) -> None:
    assert digits.test is not None
    owner = {k: name for name, run in RUNS.items() for k in run}
    task = digits.test.subset(np.flatnonzero(np.isin(digits.test.labels, list(owner))))
    whole = logits_of(net, task)
    inside = torch.stack([whole[:, run].logsumexp(1) for run in RUNS.values()], 1)
    rest = whole[:, [k for k in range(10) if k not in owner]]
    truth = np.array([list(RUNS).index(owner[k]) for k in task.labels])
    base = float((torch.cat([inside, rest], 1).argmax(1).numpy() == truth).mean())
    assert uncut.info.scores["base_accuracy"] == pytest.approx(base)
    assert uncut.info.scores["brick_accuracy"] == pytest.approx(float((inside.argmax(1).numpy() == truth).mean()))


def test_images_are_met_by_the_names_of_members(uncut: Brick, digits: Data) -> None:
    assert digits.test is not None
    found = evaluate(uncut, digits)
    assert found.scores.images == int(np.isin(digits.test.labels, [0, 1, 2, 7, 9, 4]).sum())
    assert found.off_task is not None
    assert found.off_task.classes == ("3", "5", "6", "8")


def test_a_file_holds_it_bit_by_bit(low: Brick, digits: Data, tmp_path: Path) -> None:
    again = load(low.save(tmp_path / "low.brick"))
    assert again.info == low.info
    assert torch.equal(logits_of(again, digits.train), logits_of(low, digits.train))


def test_a_brick_of_such_classes_is_cut_again(low: Brick, digits: Data) -> None:
    odd = disassemble(low, digits, "odd", thresholds=KEEP_ALL, refit_images=0)
    assert (odd.classes, odd.info.members) == (("odd",), {"odd": ("7", "9")})
    assert odd.info.sources[0].of == (7, 9)
    wanted = logits_of(low, digits.train)[:, 1]
    torch.testing.assert_close(logits_of(odd, digits.train)[:, 0], wanted, rtol=1e-4, atol=1e-5)


def test_such_classes_are_joined_further(low: Brick, digits: Data) -> None:
    both = disassemble(low, digits, "any=low,any=odd", thresholds=KEEP_ALL, refit_images=0)
    assert both.info.members == {"any": ("0", "1", "2", "7", "9")}
    wanted = logits_of(low, digits.train).logsumexp(1)
    torch.testing.assert_close(logits_of(both, digits.train)[:, 0], wanted, rtol=1e-4, atol=1e-5)


def test_a_class_is_given_another_name(net: Brick, digits: Data) -> None:
    brick = disassemble(net, digits, "zero=0,1", thresholds=KEEP_ALL, refit_images=0)
    assert (brick.classes, brick.info.members) == (("zero", "1"), {"zero": ("0",)})
    wanted = logits_of(net, digits.train)[:, :2]
    torch.testing.assert_close(logits_of(brick, digits.train), wanted, rtol=1e-4, atol=1e-5)


def test_padded_and_side_by_side_give_the_same(low: Brick, net: Brick, digits: Data) -> None:
    rest = disassemble(net, digits, "rest=3-6,8", budget=Budget(macs=0.6), refit_images=10)
    beside, one = (assemble([low, rest], layout=layout, names=["a", "b"]) for layout in ("parallel", "padded"))
    assert beside.classes == ("low", "odd", "rest", "8")
    torch.testing.assert_close(logits_of(one, digits.train), logits_of(beside, digits.train), rtol=1e-4, atol=1e-4)
    assert one.vocabulary.members == beside.vocabulary.members


def test_calibration_finds_images_by_member(low: Brick, net: Brick, digits: Data) -> None:
    rest = disassemble(net, digits, "3,4", budget=Budget(macs=0.6), refit_images=10)
    joined = assemble([low, rest], calibrate="affine", data=digits, views=0)
    assert joined.classes == ("low", "odd", "3", "4")


@pytest.mark.parametrize("to", ["pt2", "onnx"])
def test_an_exported_file_gives_the_same(low: Brick, digits: Data, tmp_path: Path, to: str) -> None:
    if to == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra export")
    found = export(low, tmp_path / f"low.{to}", to=to, data=digits)  # type: ignore[arg-type]
    assert found.difference < 1e-4


def test_a_curve_takes_such_classes(net: Brick, digits: Data) -> None:
    points = curve(net, digits, "low=0-2,odd=7,odd=9", points=[0.6], refit_images=5)
    assert points[0].macs <= 0.6


def test_a_name_of_a_class_beside_is_refused(net: Brick, digits: Data) -> None:
    with pytest.raises(DataError, match="the model has a class '5' beside those"):
        disassemble(net, digits, "5=0-2")


def test_a_class_of_the_task_without_images_is_refused_with_the_labels_left(net: Brick, digits: Data) -> None:
    named = whole_brick(net.network, Preprocess(1, 8, 8), ["tabby", "tiger cat", *"abcdefgh"])
    images = digits.train.select([0, 1, 2])
    images = type(images)(("cat", "tabby", "a"), images.labels, images.store, images.where)
    with pytest.raises(DataError, match=r"no label of the data means the class 'tiger cat'; these .*: cat: map"):
        disassemble(named, images, "tabby,tiger cat")
