"""Augmentation against a plain loop, and what it leaves alone."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.errors import DataError
from modellego.training.augment import Augment, augmented


@settings(deadline=None)
@given(st.booleans(), st.integers(0, 3), st.integers(0, 2**31))
def test_each_image_is_a_shifted_or_mirrored_copy(flip: bool, shift: int, seed: int) -> None:
    images = torch.rand(5, 2, 4, 6)
    out = augmented(images, Augment(flip, shift), torch.Generator().manual_seed(seed))
    wide = F.pad(images, (shift,) * 4)
    for image, made in zip(wide, out, strict=True):
        sources = [image, image.flip(-1)] if flip else [image]
        spots = [(i, j) for i in range(2 * shift + 1) for j in range(2 * shift + 1)]
        assert any(torch.equal(s[:, i : i + 4, j : j + 6], made) for s in sources for i, j in spots)


def test_the_generator_decides() -> None:
    images = torch.rand(9, 3, 8, 8)
    one, two, three = (augmented(images, Augment(), torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


def test_nothing_asked_nothing_done() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert augmented(images, Augment(False, 0), torch.Generator()) is images


def test_a_negative_shift_is_refused() -> None:
    with pytest.raises(DataError, match="the shift must be"):
        Augment(shift=-1)
