"""The affine calibration: scales and shifts per class, never worse than the concatenation on held-out images."""

import torch

from modellego.assembly.heads import fit_affine
from tests.assembly.heads.problems import accuracy, problem


def test_the_loud_bricks_scale_falls() -> None:
    rows, anchor, _ = problem()
    scale = fit_affine(rows, anchor).scale
    assert scale[3:].max() < scale[:3].min()


def test_accuracy_rises() -> None:
    rows, anchor, labels = problem()
    found = fit_affine(rows, anchor)
    logits = anchor.logits(rows.columns)
    assert accuracy(logits * found.scale + found.shift, labels) > accuracy(logits, labels) + 0.05


def test_the_concatenation_is_kept_where_nothing_helps() -> None:
    rows, anchor, _ = problem(loudness=1.0, noise=0.0)
    found = fit_affine(rows, anchor)
    assert found.report.kept_concatenation
    assert torch.equal(found.scale, torch.ones(5))
    assert torch.equal(found.shift, torch.zeros(5))


def test_it_is_deterministic() -> None:
    rows, anchor, _ = problem()
    one, two = fit_affine(rows, anchor), fit_affine(rows, anchor)
    assert torch.equal(one.scale, two.scale)
    assert torch.equal(one.shift, two.shift)
