"""Similarity within and between classes, against the plain double loop."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modellego.errors import LegoError
from modellego.heatmaps import class_similarity

values = hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.floats(0, 1, width=16))


@given(values, st.data())
def test_as_the_mean_over_pairs(array: np.ndarray, data: st.DataObject) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(array), max_size=len(array))))
    classes = np.unique(labels)
    expected = np.full((len(classes), len(classes)), np.nan)
    for (i, a), (j, b) in itertools.product(enumerate(classes), repeat=2):
        pairs = [(m, n) for m, n in itertools.product(range(len(array)), repeat=2)
                 if m != n and labels[m] == a and labels[n] == b]  # fmt: skip
        if pairs:
            expected[i, j] = np.mean([cosine(array[m], array[n]) for m, n in pairs])
    found = class_similarity(array, labels)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-9)
    apart = ~np.eye(len(classes), dtype=bool)
    for number, part in ((found.within, np.diag(expected)), (found.between, expected[apart])):
        known = part[~np.isnan(part)]
        np.testing.assert_allclose(number, known.mean() if len(known) else np.nan, atol=1e-9)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / length) if np.linalg.norm(a) > 0 and np.linalg.norm(b) > 0 else 0.0


def test_arrays_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(LegoError, match=r"shapes \[3, 2\] and \[2\]"):
        class_similarity(np.zeros((3, 2)), np.zeros(2, int))
