"""Fine-tune: a few epochs of training for a brick or an assembled model ("score 2"), with checkpoints and a curve."""

from modellego.finetuning.augment import Augment
from modellego.finetuning.settings import Epoch, Settings
from modellego.finetuning.verb import FinetuneResult, finetune

__all__ = ["Augment", "Epoch", "FinetuneResult", "Settings", "finetune"]
