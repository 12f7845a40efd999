"""Fine-tune: a few epochs of training for a brick or an assembled model ("score 2"), with checkpoints and a curve."""

from modellego.finetuning.verb import finetune

__all__ = ["finetune"]
