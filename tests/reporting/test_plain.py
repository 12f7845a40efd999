"""The first paragraph of a report: what it says of few and many classes, of one, of sizes and of rejection."""

import dataclasses

import numpy as np
import pytest

from modellego.reporting import Lineage, ModelSize, OffTaskConfidence, ReportData, Score
from modellego.reporting.plain import plain_words

BARE = ReportData("pets", "", ("cat", "dog", "fox"), Lineage("pets", "brick", 3))
OFF = OffTaskConfidence(np.array([1.0, 3, 3, 3]), np.array([1.0, 1, 1, 3]), 0.8, threshold=2.0)
ONE, TWO, OWN = ModelSize("one", 300, 60), ModelSize("two", 100, 40), ModelSize("pets", 100, 50)
CASES = {
    "nothing known": ({}, "It always answers with one of these, whatever the image shows."),
    "few classes": ({}, "says which of 3 things it shows: cat, dog or fox."),
    "many classes": ({"classes": tuple("abcdefghijklmn")}, "which of 14 things it shows, such as a, b, c."),
    "one class": ({"classes": ("cat",)}, "has one answer: cat."),
    "a score": ({"scores": (Score("pets", 0.914),)}, "Of 100 images it names about 91 rightly."),
    "a fair score beside": (
        {"scores": (Score("base", 0.5), Score("base restricted", 0.95), Score("pets", 0.914))},
        "about 91 rightly; the uncut model, given the same choice of answers, about 95.",
    ),
    "fair scores of two models beside": (
        {"scores": (Score("base restricted", 0.95), Score("pets", 0.914)), "sizes": (ONE, TWO, OWN)},
        "about 91 rightly; the uncut models, each asked about its own classes alone, about 95.",
    ),
    "one source": (
        {"sizes": (ONE, OWN)},
        "It has 33 % of the learnt numbers and 83 % of the arithmetic of the model it was cut from.",
    ),
    "two sources": (
        {"sizes": (ONE, TWO, OWN)},
        "It has 25 % of the learnt numbers and 50 % of the arithmetic of the 2 models it was made from, together.",
    ),
    "what it turns away": (
        {"off_task": OFF, "rejects": True},
        "it turns away 75 as “none of these”, and of 100 images of its own classes 25 too.",
    ),
    "that it turns away": ({"rejects": True}, "Of an image that it is not sure of, it says “none of these”."),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_known_is_said(case: str) -> None:
    known, expected = CASES[case]
    assert expected in plain_words(dataclasses.replace(BARE, **known))


def test_what_is_not_known_is_not_said() -> None:
    said = plain_words(BARE)
    assert "100" not in said
    assert "%" not in said
