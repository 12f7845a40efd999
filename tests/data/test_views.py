"""Altered views: images stay images, differ from the first, and come again for a seed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.data.views import _colour, _cutout, _uniform, _warp, altered_views


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(8, 24), st.integers(8, 24), st.integers(0, 9))
def test_shape_and_range_are_kept(count: int, channels: int, height: int, width: int, seed: int) -> None:
    images = torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))
    for view in altered_views(images, seed=seed):
        assert view.shape == images.shape
        assert float(view.min()) >= 0
        assert float(view.max()) <= 1


def test_each_view_is_another_one() -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = [images, *altered_views(images)]
    assert all(not torch.allclose(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_a_seed_gives_the_same_views_and_leaves_the_global_generator_alone() -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    state = torch.random.get_rng_state()
    one, two = list(altered_views(images, seed=3)), list(altered_views(images, seed=3))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_without_a_seed_the_views_are_those_of_seed_zero() -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for a, b in zip(altered_views(images), altered_views(images, seed=0), strict=True):
        assert torch.equal(a, b)


def test_three_views_are_made_unless_another_number_is_asked_for() -> None:
    images = torch.rand(1, 3, 8, 8)
    assert (len(list(altered_views(images))), len(list(altered_views(images, count=5)))) == (3, 5)


def test_a_warp_of_nothing_mirrors_half_the_images() -> None:
    images = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = _warp(images, torch.Generator().manual_seed(1), degrees=0, scale=0, shift=0, shear=0)
    same = (found - images).abs().amax((1, 2, 3)) < 1e-5
    mirrored = (found - images.flip(3)).abs().amax((1, 2, 3)) < 1e-5
    assert (same ^ mirrored).all()
    assert 20 < int(mirrored.sum()) < 44


@pytest.mark.parametrize("axis", [2, 3])
def test_the_view_with_a_square_cut_out_is_shifted_but_neither_turned_nor_stretched(axis: int) -> None:
    """A ramp of even steps along one axis has the same steps still, outside the square and away from the border."""
    ramp = (torch.arange(32.0) / 64 + 0.25).view(1, 1, *((32, 1) if axis == 2 else (1, 32))).expand(8, 1, 32, 32)
    view = list(altered_views(ramp))[2]
    steps, across = (view.diff(dim=a).abs().flatten(1).median(1).values.tolist() for a in (axis, 5 - axis))
    assert steps == pytest.approx([1 / 64] * 8, abs=1e-4)
    assert across == pytest.approx([0] * 8, abs=1e-5)


def test_a_square_is_painted_in_the_mean_colour_wherever_its_centre_falls() -> None:
    images = torch.rand(40, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    found = _cutout(images, torch.Generator().manual_seed(1), 0.5)
    again = torch.Generator().manual_seed(1)
    rows, columns = torch.rand(40, generator=again) * 12, torch.rand(40, generator=again) * 16
    for image, painted, y, x in zip(images, found, rows.tolist(), columns.tolist(), strict=True):
        wanted = image.clone()
        for i in range(12):
            for j in range(16):
                if abs(i + 0.5 - y) <= 3 and abs(j + 0.5 - x) <= 3:
                    wanted[:, i, j] = image.mean((1, 2))
        torch.testing.assert_close(painted, wanted)


def test_colours_change_by_no_more_than_their_reach() -> None:
    """On grey, contrast and saturation change nothing: what is left is light, up to half the reach."""
    grey = torch.full((200, 3, 2, 2), 0.5)
    moved = (_colour(grey, torch.Generator().manual_seed(0), 0.4) - 0.5)[:, 0, 0, 0]
    assert 0.19 < float(moved.max()) <= 0.2
    assert -0.2 <= float(moved.min()) < -0.19


def test_a_number_for_each_image_lies_within_reach_on_both_sides() -> None:
    numbers = _uniform(torch.zeros(500, 1, 1, 1), torch.Generator().manual_seed(0), 0.3)
    assert numbers.shape == (500,)
    assert float(numbers.min()) == pytest.approx(-0.3, abs=0.01)
    assert float(numbers.max()) == pytest.approx(0.3, abs=0.01)
