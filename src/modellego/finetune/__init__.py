"""Fine-tune: a few epochs of training for a brick or an assembled model ("score 2"), with checkpoints and a curve."""

from modellego.finetune.augment import Augment
from modellego.finetune.finetune import FinetuneResult, finetune
from modellego.finetune.settings import Epoch, Settings

__all__ = ["Augment", "Epoch", "FinetuneResult", "Settings", "finetune"]
