"""Scores from logits against counting by hand, and what must hold for any logits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.evaluation import auroc, largest_probability, restricted, score


def test_balanced_accuracy_weighs_classes_not_images() -> None:
    logits = torch.eye(2)[[0, 0, 0, 0]]
    found = score(logits, np.array([0, 0, 0, 1]))
    assert found.accuracy == 0.75
    assert found.balanced_accuracy == 0.5


def test_a_class_without_images_does_not_count() -> None:
    found = score(torch.eye(3)[[0, 1]], np.array([0, 1]))
    assert found.balanced_accuracy == 1.0
    assert np.isnan(found.per_class[2])


def test_confusion_has_a_row_a_true_class() -> None:
    assert score(torch.eye(2)[[1, 1]], np.array([0, 1])).confusion.tolist() == [[0, 1], [0, 1]]


@given(st.integers(0, 2**31), st.integers(2, 6), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_fewer_logits_never_lower_accuracy(seed: int, classes: int, images: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, generator=generator)
    task = torch.randperm(classes, generator=generator)[: classes // 2 + 1].tolist()
    labels = torch.randint(len(task), (images,), generator=generator).numpy()
    base, inside = restricted(logits, task, labels)
    assert base <= inside


def test_restricted_to_all_classes_is_base() -> None:
    logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    base, inside = restricted(logits, list(range(5)), np.arange(50) % 5)
    assert base == inside


def test_auroc_counts_ordered_pairs() -> None:
    random = np.random.default_rng(0)
    on, off = random.random(20), random.random(30)
    pairs = np.mean(on[:, None] > off[None])
    assert auroc(on, off) == pytest.approx(pairs)


def test_auroc_needs_both_sides() -> None:
    assert auroc(np.ones(3), np.empty(0)) is None


def test_one_logit_is_always_sure() -> None:
    assert largest_probability(torch.randn(4, 1)).tolist() == [1.0] * 4
