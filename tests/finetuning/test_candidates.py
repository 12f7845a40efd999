"""The settings fine-tuning tries: by the number of images, with what is given held."""

import pytest

from modellego.errors import LegoError
from modellego.finetuning.candidates import candidates


@pytest.mark.parametrize(("images", "held"), [(150, 50), (1_000, 300), (5_000, 500), (50_000, 5_000)])
def test_the_fewer_images_the_greater_the_share_held_out(images: int, held: int) -> None:
    assert {round(s.held_out * images) for s in candidates(images)} == {held}


def test_the_fewer_images_the_smaller_the_steps() -> None:
    boldest = [max(s.lr for s in candidates(n)) for n in (150, 5_000, 50_000)]
    assert boldest == sorted(boldest)
    assert len(set(boldest)) == 3


def test_what_is_given_holds_for_all() -> None:
    found = candidates(5_000, epochs=2, norms="frozen")
    assert {(s.epochs, s.norms) for s in found} == {(2, "frozen")}
    assert len(found) == 3


def test_settings_alike_are_tried_once() -> None:
    assert len(candidates(150, lr=0.1, norms="train")) == 1


def test_every_candidate_keeps_the_best() -> None:
    assert {s.keep for n in (2, 150, 5_000, 50_000) for s in candidates(n)} == {"best"}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LegoError):
        candidates(100, lr=-1.0)
