"""The values of a training run: how to train, what an epoch gave, and what is kept."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from modellego.errors import LegoError
from modellego.training.augment import Augment

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Settings:
    """How to train: SGD with Nesterov momentum, or Adam; an epoch goes once through the examples.

    By the schedule `cosine` the learning rate falls to zero on half a cosine, step by step, behind a share `warmup` of
    the steps in which it rises evenly. `momentum` is SGD's.
    `norms` says whether batch norms go by each batch's own mean and variance (`train`) or stay with those they have
    (`frozen`); their weights train either way. `held_out` is the share of the training images that is never trained on
    and gives the curve. `keep` `best` hands back the weights of the epoch that did best on it (`best_by`: in accuracy,
    then in loss; or in loss), and those from before training where none did surely better (see
    `training.held_out.helps`); `last` hands back the last epoch's.
    `precision` `auto` is bfloat16 on a GPU that has it, else float32. Raises `LegoError` for values that make no sense.

    >>> Settings(epochs=2).lr
    0.01
    """

    epochs: int = 10
    lr: float = 0.01
    optimizer: Literal["sgd", "adam"] = "sgd"
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = 0.0
    norms: Literal["train", "frozen"] = "train"
    batch_size: int = 128
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: Augment = field(default_factory=Augment)
    held_out: float = 0.1
    keep: Literal["last", "best"] = "best"
    best_by: Literal["accuracy", "loss"] = "accuracy"
    precision: Precision = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        checks = (
            (self.epochs >= 1, f"train for 1 epoch or more, not {self.epochs}"),
            (self.lr > 0, f"the learning rate must be positive, not {self.lr}"),
            (self.batch_size >= 2, f"a batch holds 2 images or more, not {self.batch_size}"),
            (0 <= self.held_out < 1, f"the share held out lies in 0..1, not {self.held_out}"),
            (self.momentum >= 0 and self.weight_decay >= 0, "momentum and weight decay must not be negative"),
            (self.optimizer in ("sgd", "adam"), f"the optimizer is sgd or adam, not {self.optimizer}"),
            (self.schedule in ("cosine", "constant"), f"the schedule is cosine or constant, not {self.schedule}"),
            (0 <= self.warmup < 1, f"the share of steps to warm up in lies in 0..1, not {self.warmup}"),
            (self.norms in ("train", "frozen"), f"norms are train or frozen, not {self.norms}"),
            (self.best_by in ("accuracy", "loss"), f"the best is told by accuracy or loss, not {self.best_by}"),
            (self.keep in ("last", "best"), f"keep is last or best, not {self.keep}"),
            (
                self.keep == "last" or self.held_out > 0,
                "nothing tells the best weights: hold images out, or keep the last",
            ),
            (
                self.precision in ("auto", "float32", "bfloat16"),
                f"precision is auto, float32 or bfloat16, not {self.precision}",
            ),
        )
        for fine, reason in checks:
            if not fine:
                raise LegoError(reason)

    def identity(self) -> dict[str, Any]:
        """Return the settings as plain values, but for where and in which precision it is computed."""
        return {k: v for k, v in asdict(self).items() if k not in ("device", "precision")}


@dataclass(frozen=True)
class Epoch:
    """One point of the curve: the mean training loss, and loss and accuracy on the held-out images.

    Epoch 0 is the model before the first step; `loss` is None there, and the others without held-out images.
    """

    epoch: int
    loss: float | None
    held_out_loss: float | None
    accuracy: float | None
