"""Charts: the histogram's axis fits what is drawn on it."""

import re

import numpy as np
import pytest

from modellego.reporting import OffTaskConfidence
from modellego.reporting.charts import histogram

RNG = np.random.default_rng(0)
CASES = {
    "probabilities": (RNG.uniform(0, 1, 50), RNG.uniform(0, 1, 50), 0.5, "0.75"),
    "sure probabilities": (RNG.uniform(0.96, 1, 50), RNG.uniform(0, 1, 50), 0.9, "0.9999"),
    "energies": (RNG.normal(12, 2, 50), RNG.normal(4, 2, 50), 6.5, "10"),
    "equal values": (np.full(5, 3.0), np.full(5, 3.0), 3.5, "3"),
}


@pytest.mark.parametrize("case", CASES)
def test_all_stands_on_the_axis(case: str) -> None:
    inside, outside, threshold, tick = CASES[case]
    drawn = histogram(OffTaskConfidence(inside, outside, 0.5, threshold=threshold))
    assert f">{tick}</text>" in drawn
    (limit,) = re.findall(r'class="limit" x1="([-\d.]+)"', drawn)
    places = [float(v) for v in re.findall(r'<text x="([-\d.e]+)%', drawn)]
    assert 0 < float(limit) < 100
    assert places == sorted(places)
    assert 0 <= places[0] < places[-1] <= 100
