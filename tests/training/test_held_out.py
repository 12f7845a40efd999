"""What is held out, and when training counts as a help."""

import numpy as np
import pytest
import torch

from modellego.errors import DataError
from modellego.training.held_out import helps, split_held_out


def test_each_class_gives_its_share() -> None:
    labels = np.repeat([0, 1], [10, 20])
    train, held = split_held_out(labels, 0.2, 0)
    assert sorted([*train, *held]) == list(range(30))
    assert np.bincount(labels[held]).tolist() == [2, 4]


def test_a_class_of_one_image_is_trained_on() -> None:
    train, held = split_held_out(np.array([0, 1, 1]), 0.9, 0)
    assert 0 in train
    assert len(held) == 1


def test_the_seed_decides() -> None:
    labels = np.zeros(50, np.int64)
    assert split_held_out(labels, 0.5, 0)[1].tolist() != split_held_out(labels, 0.5, 1)[1].tolist()


def test_one_image_to_train_on_is_too_few() -> None:
    with pytest.raises(DataError, match="fewer than 2"):
        split_held_out(np.zeros(1, np.int64), 0.5, 0)


def outcome(losses: list[float], right: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(losses), torch.tensor(right, dtype=torch.bool)


BEFORE = outcome([1.0, 1.1, 0.9, 1.0] * 10, [1, 0, 1, 1] * 10)


@pytest.mark.parametrize(
    ("losses", "right", "helped"),
    [
        ([0.9, 1.0, 0.8, 0.95], [1, 0, 1, 1], True),  # each loss a little lower, as many right
        ([0.9, 1.0, 0.8, 0.95], [1, 0, 1, 0], False),  # lower losses, but fewer right
        ([2.0, 2.0, 2.0, 2.0], [1, 1, 1, 1], True),  # higher losses, but surely more right
        ([0.0, 2.1, 0.0, 1.7], [1, 0, 1, 1], False),  # a lower mean, by chance
        ([1.0, 1.1, 0.9, 1.0], [1, 0, 1, 1], False),  # the same
        ([float("nan"), 0.0, 0.0, 0.0], [1, 1, 1, 1], False),
    ],
)
def test_training_helps_only_where_it_is_sure(losses: list[float], right: list[int], helped: bool) -> None:
    assert helps(BEFORE, outcome(losses * 10, right * 10)) is helped


def test_one_image_tells_nothing() -> None:
    assert not helps(outcome([1.0], [0]), outcome([0.0], [1]))
