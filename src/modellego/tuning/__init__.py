"""Tuning without labels: some minutes of gradient steps that bring a brick's logits to its source's."""

from modellego.tuning.match import Agreement, TuneReport, tune

__all__ = ["Agreement", "TuneReport", "tune"]
