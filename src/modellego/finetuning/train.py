"""The training loop: every random choice follows from seed and epoch, so that a run can stop and go on bit for bit."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modellego.brick import Assembled, Brick
from modellego.errors import FormatError
from modellego.finetuning.augment import augmented
from modellego.finetuning.checkpoint import load_checkpoint, save_checkpoint
from modellego.finetuning.feed import Feed
from modellego.finetuning.masks import mask_gradients
from modellego.finetuning.settings import Epoch, Settings
from modellego.progress import Update

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
EVALUATION_BATCH = 256


@dataclass
class Run:
    """A run under way: the model on its device, its images, and what has been measured so far."""

    model: Brick | Assembled
    feed: Feed
    train: Tensor
    held: Tensor
    settings: Settings
    loss: Loss
    masks: Mapping[str, Tensor]
    device: torch.device
    checkpoint: Path | None = None
    kind: str = "finetune"

    def __post_init__(self) -> None:
        self.curve: list[Epoch] = []
        self.best: dict[str, Tensor] | None = None
        self.best_epoch = 0
        s = self.settings
        self.optimizer = torch.optim.SGD(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=s.lr,
            momentum=s.momentum,
            weight_decay=s.weight_decay,
            nesterov=s.momentum > 0,
        )
        self.masks = {k: m.to(self.device) for k, m in self.masks.items()}
        self.parameters: dict[str, nn.Parameter] = dict(self.model.named_parameters())

    @property
    def steps(self) -> int:
        """How many steps an epoch has; a last batch of one image is left out, as a batch norm cannot take it."""
        whole, rest = divmod(len(self.train), self.settings.batch_size)
        return whole + (rest > 1)


def device_of(settings: Settings) -> torch.device:
    """Return the device to train on: the one named, or a GPU where there is one."""
    if settings.device != "auto":
        return torch.device(settings.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def run_epochs(
    run: Run, resume: bool = False, update: Update | None = None, on_epoch: Callable[[Epoch], None] | None = None
) -> None:
    """Train until all epochs are done, writing a checkpoint after each; with `resume`, go on from the last one.

    The result is bit for bit that of a run that was never interrupted, on a CPU with the same number of threads.
    Raises `FormatError` for a checkpoint that is missing, broken or of another run.
    """
    if resume:
        if run.checkpoint is None:
            raise FormatError("to resume, name the checkpoint")
        _restore(run, load_checkpoint(run.checkpoint))
    else:
        _finish_epoch(run, 0, None, on_epoch)
    total = run.steps * run.settings.epochs
    for epoch in range(len(run.curve), run.settings.epochs + 1):
        before = (epoch - 1) * run.steps

        def tell(done: int, before: int = before) -> None:
            if update:
                update(before + done, total)

        loss = _epoch(run, epoch, tell)
        _finish_epoch(run, epoch, loss, on_epoch)
    if run.settings.keep == "best" and run.best is not None:
        run.model.load_state_dict(run.best)
    run.model.eval()


def learning_rate(settings: Settings, step: int, steps: int) -> float:
    """Return the learning rate of a step counted from 0: `lr (1 + cos(pi step / steps)) / 2`.

    Source: cosine annealing without restarts, Loshchilov and Hutter 2017.

    >>> learning_rate(Settings(lr=0.1), 0, 10)
    0.1
    """
    return settings.lr * (1 + math.cos(math.pi * step / steps)) / 2


def _epoch(run: Run, epoch: int, tell: Callable[[int], None]) -> float:
    s = run.settings
    generator = torch.Generator().manual_seed(s.seed * 1_000_003 + epoch)
    order = run.train[torch.randperm(len(run.train), generator=generator)]
    run.model.train()
    total, seen = torch.zeros((), dtype=torch.float64, device=run.device), 0
    with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
        torch.manual_seed(s.seed * 1_000_003 + epoch)  # dropout draws from the global generator
        for step in range(run.steps):
            chosen = order[step * s.batch_size : (step + 1) * s.batch_size]
            images = augmented(run.feed.read(chosen), s.augment, generator).to(run.device, non_blocking=True)
            labels = run.feed.labels[chosen].to(run.device, non_blocking=True)
            for group in run.optimizer.param_groups:
                group["lr"] = learning_rate(s, (epoch - 1) * run.steps + step, run.steps * s.epochs)
            with _precision(run):
                loss = run.loss(images, run.model(images).float(), labels)
            run.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            mask_gradients(run.parameters, dict(run.masks))
            run.optimizer.step()
            total += loss.detach().double() * len(chosen)
            seen += len(chosen)
            tell(step + 1)
    return float(total) / seen


def _precision(run: Run) -> AbstractContextManager[Any]:
    wanted = run.settings.precision
    if wanted == "auto":
        fast = run.device.type == "cuda" and torch.cuda.is_bf16_supported()
        wanted = "bfloat16" if fast else "float32"
    return torch.autocast(run.device.type, torch.bfloat16) if wanted == "bfloat16" else nullcontext()


@torch.no_grad()
def _measure(run: Run) -> tuple[float | None, float | None]:
    """Return loss (cross-entropy) and accuracy on the held-out images, or None for both."""
    if not len(run.held):
        return None, None
    run.model.eval()
    loss, right = 0.0, 0
    for chosen in torch.split(run.held, EVALUATION_BATCH):
        labels = run.feed.labels[chosen].to(run.device)
        with _precision(run):
            logits = run.model(run.feed.read(chosen).to(run.device)).float()
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        right += int((logits.argmax(1) == labels).sum())
    return loss / len(run.held), right / len(run.held)


def _finish_epoch(run: Run, epoch: int, loss: float | None, on_epoch: Callable[[Epoch], None] | None) -> None:
    held_loss, accuracy = _measure(run)
    point = Epoch(epoch, loss, held_loss, accuracy)
    run.curve.append(point)
    if run.settings.keep == "best" and (accuracy or 0.0) >= max(p.accuracy or 0.0 for p in run.curve):
        run.best = {k: v.detach().clone() for k, v in run.model.state_dict().items()}
        run.best_epoch = epoch
    elif run.settings.keep == "last":
        run.best_epoch = epoch
    if run.checkpoint is not None:
        save_checkpoint(run.checkpoint, _state(run))
    if on_epoch:
        on_epoch(point)


def _state(run: Run) -> dict[str, Any]:
    return {
        "run": _fingerprint(run),
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "curve": [asdict(point) for point in run.curve],
        "best": run.best,
        "best_epoch": run.best_epoch,
    }


def _fingerprint(run: Run) -> dict[str, Any]:
    """What must be the same where a run goes on: settings (but for the device), images, classes, weights' shapes."""
    settings = {k: v for k, v in asdict(run.settings).items() if k not in ("device", "precision")}
    shapes = {k: list(v.shape) for k, v in run.model.state_dict().items()}
    labels = run.feed.labels
    images = [len(run.train), len(run.held), int((labels * torch.arange(1, len(labels) + 1)).sum())]
    classes = list(run.model.classes)
    return {
        "kind": run.kind,
        "settings": settings,
        "images": images,
        "classes": classes,
        "shapes": shapes,
        "masks": sorted(run.masks),
    }


def _restore(run: Run, state: dict[str, Any]) -> None:
    ours, theirs = _fingerprint(run), state.get("run")
    if not isinstance(theirs, dict) or ours != theirs:
        unlike = [k for k in ours if not isinstance(theirs, dict) or theirs.get(k) != ours[k]]
        raise FormatError(
            f"the checkpoint {run.checkpoint} is of another run (its {unlike[0]} differ): resume with the same model, "
            f"data and settings, or start anew without resume"
        )
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.curve = [Epoch(**point) for point in state["curve"]]
    run.best = state["best"] and {k: v.to(run.device) for k, v in state["best"].items()}
    run.best_epoch = int(state["best_epoch"])
