"""Samples are the most confident of their class, as many as asked for."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.contribution.samples import select_samples, true_class_probabilities
from modellego.errors import DataError

PROBABILITIES = np.linspace(1, 0, 1000)
LABELS = np.arange(1000) % 2


def test_takes_the_most_confident_of_each_class_in_order() -> None:
    chosen = select_samples(np.array([0.2, 0.9, 0.7, 0.8]), np.array([0, 0, 0, 1]), [0, 1], per_class=2)
    assert {label: list(found) for label, found in chosen.items()} == {0: [1, 2], 1: [3]}


def test_fifty_a_class_by_default() -> None:
    assert [len(found) for found in select_samples(PROBABILITIES, LABELS, [0, 1]).values()] == [50, 50]


def test_one_percent_is_at_least_five() -> None:
    assert [len(found) for found in select_samples(PROBABILITIES, LABELS, [0, 1], share=0.01).values()] == [
        5,
        5,
    ]


def test_share_of_the_class() -> None:
    assert len(select_samples(PROBABILITIES, LABELS, [1], share=0.1)[1]) == 50


def test_equal_probabilities_keep_their_order() -> None:
    assert select_samples(np.ones(5), np.zeros(5, dtype=np.int64), [0], per_class=3)[0].tolist() == [0, 1, 2]


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(DataError, match="class fox has no images"):
        select_samples(PROBABILITIES, LABELS, [2], names=["cat", "dog", "fox"])


@pytest.mark.parametrize("share", [0.0, 1.5, -0.1])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="share"):
        select_samples(PROBABILITIES, LABELS, [0], share=share)


def test_no_samples_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="at least 1"):
        select_samples(PROBABILITIES, LABELS, [0], per_class=0)


def test_probabilities_are_of_the_true_class_over_all_batches() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 4)
    x, labels = torch.randn(7, 3), torch.arange(7) % 4
    found = true_class_probabilities(network, [(x[:4], labels[:4]), (x[4:], labels[4:])])
    expected = network(x).double().softmax(1)[torch.arange(7), labels].detach().numpy()
    assert found == pytest.approx(expected)
