"""Turning images away by a statistic of the logits."""

import pytest
import torch

from modellego.brick import Reject, confidence, predict_reject
from modellego.brick.reject_rule import Statistic

LOGITS = torch.tensor([[4.0, 0.0, 0.0], [1.0, 1.0, 1.0], [9.0, 9.0, 0.0]])


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("max_probability", LOGITS.softmax(1).max(1).values),
        ("energy", LOGITS.exp().sum(1).log()),
        ("max_logit", torch.tensor([4.0, 1.0, 9.0])),
        ("margin", LOGITS.softmax(1)[:, 0] - LOGITS.softmax(1)[:, 1]),
    ],
)
def test_statistics(statistic: Statistic, expected: torch.Tensor) -> None:
    torch.testing.assert_close(confidence(LOGITS, statistic), expected)


def test_margin_of_one_class_is_its_probability() -> None:
    assert confidence(torch.zeros(1, 1), "margin").item() == 1


def test_rows_below_the_threshold_are_turned_away() -> None:
    rule = Reject(threshold=4.0, statistic="max_logit")
    assert predict_reject(LOGITS, rule).tolist() == [False, True, False]


def test_without_a_rule_nothing_is_turned_away() -> None:
    assert not predict_reject(LOGITS, None).any()
