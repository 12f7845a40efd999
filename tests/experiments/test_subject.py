"""A source under study: the same bricks as the verb `disassemble` cuts, and passes over the data made once."""

import numpy as np
import pytest
import torch

from experiments.study import subject as subject_module
from experiments.study.subject import Subject
from modellego.disassembly.sampling import Samples
from modellego.disassembly.verb import disassemble


def test_brick_is_the_one_that_disassemble_cuts(run_of) -> None:
    subject = run_of("x").subject("cifar10")
    ours = subject.apart("0-2", per_class=4).brick()
    theirs = disassemble(subject.whole, subject.train, "0-2", samples=Samples(per_class=4), refit_images=0)
    images = subject.test.images(slice(0, 5))
    assert torch.equal(ours(images), theirs(images))


def test_logits_are_kept_on_disk(run_of, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("x")
    subject = run.subject("cifar10")
    kept = subject.test_logits
    again = Subject(subject.name, subject.whole, run.sources.data("cifar10"), subject.folder)
    monkeypatch.setattr(subject_module, "logits_of", lambda *_, **__: pytest.fail("run again"))
    assert torch.equal(again.test_logits, kept)


def test_logits_of_other_weights_are_not_taken_up(run_of) -> None:
    subject = run_of("x").subject("cifar10")
    before = subject.digest
    other = Subject(subject.name, subject.whole, subject.data, subject.folder)
    with torch.no_grad():
        next(other.whole.parameters()).add_(1)
        assert other.digest != before
        next(other.whole.parameters()).sub_(1)


def test_base_restricted_is_at_least_base(run_of) -> None:
    found = run_of("x").subject("cifar10").base([0, 1, 2])
    assert found["restricted"] >= found["base"]


def test_probabilities_are_those_of_the_true_class(run_of) -> None:
    subject = run_of("x").subject("cifar10")
    images = subject.train.images(slice(0, 3))
    with torch.no_grad():
        wanted = subject.whole(images).double().softmax(1)[np.arange(3), subject.train.labels[:3]]
    assert np.allclose(subject.probabilities[:3], wanted.numpy(), atol=1e-6)
