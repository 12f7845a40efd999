"""What report data refuse, and what they work out."""

import numpy as np
import pytest

from modellego.errors import LegoError
from modellego.reporting import Lineage, ReportData


def data(**parts: object) -> ReportData:
    return ReportData("t", "s", ("cat", "dog"), Lineage("t", "brick", 2), **parts)


def test_per_class_accuracy_is_the_diagonal_over_the_row() -> None:
    per_class = data(confusion=np.array([[3, 1], [0, 0]])).per_class
    assert per_class is not None
    np.testing.assert_array_equal(per_class, [0.75, np.nan])


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("confusion", np.zeros((3, 3), int), r"confusion matrix has shape \[3, 3\], but there are 2 classes"),
        ("groups", ("a",), "groups has 1 entries"),
        ("restricted_per_class", np.zeros(3), "restricted_per_class has 3 entries"),
    ],
)
def test_parts_that_do_not_fit_the_classes_are_refused(part: str, value: object, message: str) -> None:
    with pytest.raises(LegoError, match=message):
        data(**{part: value})


def test_no_classes_are_refused() -> None:
    with pytest.raises(LegoError, match="at least one class"):
        ReportData("t", "s", (), Lineage("t", "brick", 0))
