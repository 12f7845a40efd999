"""Altered views: images stay images, differ from the first, and come again for a seed."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.data.views import altered_views


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
