"""Bricks off an assembled model, onto it and one for another: what comes off is what went in, bit by bit."""

import copy
import dataclasses
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from modellego.assembly import add, assemble, replace, take
from modellego.assembly.same import same
from modellego.brick import Assembled, Brick, Joint, assembled_info, load
from modellego.errors import AssemblyError
from tests.assembly.nets import random_brick
from tests.assembly.test_calibrate import accuracy, bricks, digits, trained

NAMES = ("low", "high")
IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@cache
def joined(how: str) -> Assembled:
    made = assemble(bricks(), calibrate=how, data=digits(), per_class=10, views=1, names=NAMES)
    assert isinstance(made, Assembled)
    return made


@cache
def shift_free() -> Assembled:
    made = assemble(bricks(), names=NAMES)
    assert isinstance(made, Assembled)
    return made


def files(brick: Brick | Assembled, path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in brick.save(path).iterdir()}


@pytest.mark.parametrize("how", ["affine", "head", "prior"])
def test_what_comes_off_is_what_went_in(how: str, tmp_path: Path) -> None:
    loaded = load(joined(how).save(tmp_path / "both.brick"))
    for number, (name, before) in enumerate(zip(NAMES, bricks(), strict=True)):
        assert files(take(loaded, name).brick, tmp_path / f"{number}") == files(before, tmp_path / f"was{number}")


def test_merged_classes_come_apart(tmp_path: Path) -> None:
    pieces = [trained(0, 5, 1.0), trained(3, 10, 0.05)]
    made = assemble(
        pieces, calibrate="head", data=digits(), per_class=10, views=1, merge_equal_classes=True, names=NAMES
    )
    assert files(take(made, "high").brick, tmp_path / "a") == files(pieces[1], tmp_path / "b")


def test_the_inner_bricks_of_a_head_are_classifiers() -> None:
    inner = joined("head").bricks[0]
    assert torch.equal(inner(IMAGES), bricks()[0](IMAGES))
    assert len(assemble([inner, bricks()[1]]).classes) == 10


def test_the_model_stays_as_it_was() -> None:
    model = joined("head")
    before = model(IMAGES)
    taken = take(model, "low")
    with torch.no_grad():
        next(taken.brick.parameters()).zero_()
    assert torch.equal(model(IMAGES), before)


def test_the_last_brick_left_is_itself() -> None:
    rest = take(joined("head"), "low").rest
    assert isinstance(rest, Brick)
    assert same(rest, bricks()[1])


def test_a_rest_without_data_is_said_to_be_uncalibrated() -> None:
    three = add(joined("head"), trained(3, 6, 1.0), name="middle")
    assert "Not calibrated since" in three.info.notes
    assert three.info.assembly.calibrate is None
    assert torch.equal(three(IMAGES), torch.cat([b(IMAGES) for b in (*bricks(), trained(3, 6, 1.0))], 1))


@pytest.mark.parametrize("how", ["affine", "head"])
def test_with_data_it_is_calibrated_as_before(how: str) -> None:
    weaker = trained(0, 5, 0.2)
    plain = replace(joined(how), "low", weaker)
    again = replace(joined(how), "low", weaker, data=digits(), per_class=10)
    assert again.info.assembly.calibrate == how
    assert accuracy(again) > accuracy(plain) + 0.1


def test_a_model_that_was_not_calibrated_gets_a_head() -> None:
    made = replace(shift_free(), "low", trained(0, 5, 0.2), data=digits(), per_class=10)
    assert made.joint.reads == ("features", "features")


def test_taken_and_put_on_again_it_computes_the_same() -> None:
    three = assemble([*bricks(), trained(3, 6, 1.0)], names=[*NAMES, "middle"])
    taken, rest = take(three, "middle")
    assert torch.equal(rest(IMAGES), shift_free()(IMAGES))
    assert torch.equal(add(rest, taken)(IMAGES), three(IMAGES))
    assert add(rest, taken).info.assembly.names == (*NAMES, "middle")


def test_a_free_name_is_found() -> None:
    other = trained(3, 6, 1.0)
    assert replace(shift_free(), "low", other, new_name="high2").info.assembly.names == ("high2", "high")
    again = take(shift_free(), "low").brick
    assert add(shift_free(), again, allow_same=True).info.assembly.names == ("low", "high", "low2")


def test_methods_are_the_functions() -> None:
    model = shift_free()
    assert same(model.take("low").brick, bricks()[0])
    assert model.add(trained(3, 6, 1.0), name="middle").info.assembly.names == ("low", "high", "middle")
    assert model.replace("low", trained(3, 6, 1.0), new_name="mid").info.assembly.names == ("mid", "high")


def test_a_rule_for_none_of_these_does_not_outlive_its_classes() -> None:
    wary = assemble(bricks(), data=digits(), reject=0.9, names=NAMES)
    made = add(wary, trained(3, 6, 1.0))
    assert made.info.reject is None
    assert "is gone" in made.info.notes
    assert replace(wary, "low", trained(0, 5, 0.2), data=digits(), per_class=10, reject=0.9).info.reject is not None


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AssemblyError, match="no brick called 'lo': did you mean low"):
        take(shift_free(), "lo")


def test_calibration_needs_data() -> None:
    with pytest.raises(AssemblyError, match="needs images"):
        add(shift_free(), trained(3, 6, 1.0), calibrate="head")


@pytest.mark.parametrize(
    ("options", "why"),
    [({"layout": "padded"}, "put together by layout='padded'"), ({"scale": "layers"}, "scaled layer by layer")],
)
def test_what_does_not_come_apart_says_why(options: dict[str, str], why: str) -> None:
    made = assemble(bricks(), data=digits(), per_class=5, names=NAMES, **options)
    for change in (lambda: take(made, "low"), lambda: add(made, made), lambda: replace(made, "low", made)):
        with pytest.raises(AssemblyError, match=f"low and high were {why}"):
            change()


def test_bricks_without_heads_of_their_own_do_not_come_off() -> None:
    readers = [Brick(copy.deepcopy(b.body), b.info.changed(outputs="features")) for b in bricks()]
    old = Assembled(readers, Joint(linear=nn.Linear(48, 10)), assembled_info(readers, list("0123456789")))
    with pytest.raises(AssemblyError, match="older version, which cut the heads off"):
        take(old, "model")


def test_one_brick_does_not_come_apart() -> None:
    with pytest.raises(AssemblyError, match="the model is one brick"):
        bricks()[0].take("low")


def test_joining_a_brick_with_itself_is_asked_about() -> None:
    with pytest.raises(AssemblyError, match="low and again are the same brick: is that meant"):
        add(shift_free(), bricks()[0], name="again")
    with pytest.raises(AssemblyError, match="the same brick in parts"):
        assemble([shift_free(), bricks()[1]])
    assert len(add(shift_free(), bricks()[0], allow_same=True).classes) == 15


def test_like_bricks_are_not_the_same() -> None:
    a, b = random_brick("plain", 3, 2, 0), random_brick("plain", 3, 2, 0)
    assert same(a, b)
    with torch.no_grad():
        b.network.get_submodule("head").bias.add_(1e-6)
    assert not same(a, b)


def test_labels_that_are_mapped_calibrate_it_again() -> None:
    train = digits().train
    named = {f"number {c}": c for c in train.classes}
    other = dataclasses.replace(train, classes=tuple(named))
    plain = replace(joined("affine"), "low", trained(0, 5, 0.2), data=train, per_class=10)
    mapped = replace(joined("affine"), "low", trained(0, 5, 0.2), data=other, per_class=10, mapping=named)
    assert torch.equal(mapped(IMAGES), plain(IMAGES))


def test_nothing_is_added_to_one_brick() -> None:
    with pytest.raises(AssemblyError, match="assemble the two"):
        add(bricks()[0], bricks()[1])
