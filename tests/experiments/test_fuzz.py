"""Bricks made by chance: 500 of the cases of `python -m experiments.fuzz`, in workers that may die."""

import sys

import pytest

from experiments.fuzz import Outcome, outcomes

CASES = range(10**6, 10**6 + 500)  # none of the experiment's own


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")
def test_each_case_runs_or_is_refused_cheaply() -> None:
    seen: list[Outcome] = []
    outcomes(CASES, 1, seen.append)
    assert {o.case for o in seen} == set(CASES)
    assert {o.kind for o in seen} == {"op", "document", "weights"}
    bad = [o.case for o in seen if not o.good]
    again: list[Outcome] = []
    outcomes(bad, 1, again.append)  # what a case takes twice is its own, and not a busy machine's
    assert [o for o in again if not o.good] == []
