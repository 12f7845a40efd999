"""Compressed arrays of ids say what the full arrays say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modellego.channels.arrays import align, collapse, compress, expand_axes, no_channels, varying

Ids = NDArray[np.int64]


@st.composite
def full_arrays(draw: st.DrawFn) -> Ids:
    """Draw ids of up to four axes that repeat along some of them."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    small = [n if draw(st.booleans()) else 1 for n in shape]
    ids = np.array(draw(st.lists(st.integers(-1, 3), min_size=int(np.prod(small)), max_size=int(np.prod(small)))))
    return np.broadcast_to(ids.astype(np.int64).reshape(small), shape)


@given(full_arrays())
def test_compressing_loses_nothing(ids: Ids) -> None:
    np.testing.assert_array_equal(np.broadcast_to(compress(ids), ids.shape), ids)


@given(full_arrays())
def test_compressing_leaves_only_axes_along_which_ids_differ(ids: Ids) -> None:
    for axis in varying(compress(ids)):
        assert (np.diff(ids, axis=axis) != 0).any()


@given(full_arrays())
def test_expanding_an_axis_undoes_its_compression(ids: Ids) -> None:
    small = compress(ids)
    for axis in range(ids.ndim):
        expanded = expand_axes(small, ids.shape, (axis,))
        assert expanded.shape == tuple(n if a == axis else small.shape[a] for a, n in enumerate(ids.shape))
        np.testing.assert_array_equal(np.broadcast_to(expanded, ids.shape), ids)


@given(full_arrays())
def test_collapsing_keeps_the_first_position(ids: Ids) -> None:
    np.testing.assert_array_equal(collapse(ids, (0, ids.ndim - 1)), ids[:1] if ids.ndim == 1 else ids[:1, ..., :1])


@given(full_arrays())
def test_aligning_is_what_broadcasting_does(ids: Ids) -> None:
    assert align(ids, 5).shape == np.broadcast_shapes(ids.shape, (1,) * 5)


def test_no_channels_is_of_any_rank() -> None:
    assert no_channels(0).shape == ()
    assert no_channels(3).tolist() == [[[-1]]]
