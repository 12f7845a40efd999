"""Choosing a calibration: images stay in one fold with all their views, and the concatenation is the floor."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.assembly.heads import fit_head, make_rows
from modellego.assembly.heads.fitted import Candidate
from modellego.assembly.heads.select import balanced_accuracy, choose, fold_of
from tests.assembly.heads.problems import accuracy, problem


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 40), st.integers(1, 4), st.integers(2, 5), st.integers(0, 9))
def test_all_views_of_an_image_share_a_fold(count: int, views: int, folds: int, seed: int) -> None:
    rows = make_rows([[torch.zeros(count, 1)]] * views, torch.arange(count) % 3)
    fold = fold_of(rows, folds, seed).view(views, count)
    assert bool((fold == fold[0]).all())


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(0, 9))
def test_each_class_is_dealt_out_evenly(folds: int, seed: int) -> None:
    rows = make_rows([[torch.zeros(60, 1)]], torch.arange(60) % 3)
    fold = fold_of(rows, folds, seed)
    for label in range(3):
        counts = torch.bincount(fold[rows.labels == label], minlength=folds)
        assert int(counts.max() - counts.min()) <= 1


def test_nothing_below_the_concatenation_is_chosen() -> None:
    base, loud = Candidate("concatenation", 0.8, 0.6), Candidate("loud", 0.79, 0.95)
    assert choose([base, loud]) is base


def test_balanced_accuracy_counts_classes_alike() -> None:
    rows = make_rows([[torch.zeros(4, 1)]], torch.tensor([0, 0, 0, 1]))
    assert balanced_accuracy(torch.tensor([True, True, True, False]), rows) == (0.5, 0.5)


def test_the_head_beats_the_concatenation_on_new_rows() -> None:
    rows, anchor, labels = problem(count=480)
    half = torch.arange(len(rows)) < 240
    head = fit_head(rows.where(half), anchor)
    new = rows.where(~half)
    assert accuracy(new.columns @ head.weight.T + head.bias, labels[240:]) > accuracy(
        anchor.logits(new.columns), labels[240:]
    )


def test_a_perfect_concatenation_is_kept() -> None:
    rows, anchor, _ = problem(loudness=1.0, noise=0.0)
    head = fit_head(rows, anchor)
    assert head.report.kept_concatenation
    assert torch.equal(head.weight, anchor.weight)
