"""The training loop: every random choice follows from seed and epoch, so that a run can stop and go on bit for bit."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from modellego.devices import find_device
from modellego.errors import FormatError
from modellego.progress import Update
from modellego.training.checkpoint import load_checkpoint, save_checkpoint
from modellego.training.held_out import Outcome, helps
from modellego.training.settings import Epoch, Settings

OnEpoch = Callable[[Epoch], None]
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Examples:
    """What a run learns from: images, or the nodes of a graph, by number.

    `train` and `held` are int64 `[n]`, on the CPU. `loss(chosen, generator)` gives the mean loss of some training
    examples, a scalar with a gradient, altered by chance from the generator where they are altered at all;
    `measure(chosen)` gives loss, float `[b]`, and whether the answer is right (or how often), `[b]`, of held-out ones.
    `identity` holds plain values that tell these examples from others.
    """

    train: Tensor
    held: Tensor
    loss: Callable[[Tensor, torch.Generator], Tensor]
    measure: Callable[[Tensor], tuple[Tensor, Tensor]]
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Run(Generic[Model]):
    """A run under way: the model on its device, its examples, and what has been measured so far."""

    model: Model
    examples: Examples
    settings: Settings
    checkpoint: Path | None = None
    curve: list[Epoch] = field(default_factory=list)
    untrained: Outcome | None = None
    best: dict[str, Tensor] | None = None
    best_epoch: int = 0

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def __post_init__(self) -> None:
        s = self.settings
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer: torch.optim.Optimizer
        if s.optimizer == "adam":
            self.optimizer = torch.optim.Adam(trained, lr=s.lr, weight_decay=s.weight_decay)
        else:
            nesterov = s.momentum > 0
            self.optimizer = torch.optim.SGD(trained, s.lr, s.momentum, weight_decay=s.weight_decay, nesterov=nesterov)

    @property
    def steps(self) -> int:
        """How many steps an epoch has; a last batch of one example is left out, as a batch norm cannot take it."""
        whole, rest = divmod(len(self.examples.train), self.settings.batch_size)
        return whole + (rest > 1)


def device_of(settings: Settings) -> torch.device:
    """Return the device to train on: the one named, or a GPU where there is one; refuse one that is not here."""
    if settings.device != "auto":
        return find_device(settings.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def run_epochs(
    run: Run[Any], resume: bool = False, update: Update | None = None, on_epoch: OnEpoch | None = None
) -> None:
    """Train until all epochs are done, writing a checkpoint after each; with `resume`, go on from the last one.

    The result is bit for bit that of a run that was never interrupted, on a CPU with the same number of threads.
    The model ends in eval mode. Raises `FormatError` for a checkpoint that is missing, broken or of another run.
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
    """Return the learning rate of a step counted from 0: constant, or rising evenly and then falling on half a cosine.

    Without warming up the latter is `lr (1 + cos(pi step / steps)) / 2`. Source: cosine annealing without restarts,
    Loshchilov and Hutter 2017; warm-up, Goyal et al. 2017.

    >>> learning_rate(Settings(lr=0.1), 0, 10)
    0.1
    >>> [round(learning_rate(Settings(lr=0.1, warmup=0.5), step, 4), 3) for step in range(4)]
    [0.05, 0.1, 0.1, 0.05]
    """
    if settings.schedule == "constant":
        return settings.lr
    rising = settings.warmup * steps
    if step < rising:
        return settings.lr * min(1.0, (step + 1) / rising)
    return settings.lr * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def _epoch(run: Run[Any], epoch: int, tell: Callable[[int], None]) -> float:
    s, examples = run.settings, run.examples
    generator = torch.Generator().manual_seed(s.seed * 1_000_003 + epoch)
    order = examples.train[torch.randperm(len(examples.train), generator=generator)]
    run.model.train()
    if s.norms == "frozen":
        for part in run.model.modules():
            if isinstance(part, _BatchNorm):
                part.eval()
    total, seen = torch.zeros((), dtype=torch.float64, device=run.device), 0
    with torch.random.fork_rng(devices=[run.device] if run.device.type == "cuda" else []):
        torch.manual_seed(s.seed * 1_000_003 + epoch)  # dropout draws from the global generator
        for step in range(run.steps):
            chosen = order[step * s.batch_size : (step + 1) * s.batch_size]
            for group in run.optimizer.param_groups:
                group["lr"] = learning_rate(s, (epoch - 1) * run.steps + step, run.steps * s.epochs)
            loss = examples.loss(chosen, generator)
            run.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            run.optimizer.step()
            total += loss.detach().double() * len(chosen)
            seen += len(chosen)
            tell(step + 1)
    return float(total) / seen


@torch.no_grad()
def _measure(run: Run[Any]) -> Outcome | None:
    """Return what the held-out examples give; None without any."""
    held = run.examples.held
    if not len(held):
        return None
    run.model.eval()
    losses, right = run.examples.measure(held)
    return losses.double().cpu(), right.cpu()


def _finish_epoch(run: Run[Any], epoch: int, loss: float | None, on_epoch: OnEpoch | None) -> None:
    found = _measure(run)
    point = Epoch(epoch, loss, None, None)
    if found is not None:
        point = Epoch(epoch, loss, float(found[0].mean()), float(found[1].double().mean()))
    run.curve.append(point)
    if epoch == 0:
        run.untrained = found
    if run.settings.keep == "last":
        run.best_epoch = epoch
    elif epoch == 0 or (_rank(run, point) > _rank(run, run.curve[run.best_epoch]) and _helps(run, found)):
        run.best = {k: v.detach().clone() for k, v in run.model.state_dict().items()}
        run.best_epoch = epoch
    if run.checkpoint is not None:
        save_checkpoint(run.checkpoint, _state(run))
    if on_epoch:
        on_epoch(point)


def _rank(run: Run[Any], point: Epoch) -> tuple[float, float]:
    """Order epochs: by accuracy, then by loss, which punishes surer answers, the right ones too; or by loss alone."""
    accuracy, loss = point.accuracy or 0.0, point.held_out_loss or 0.0
    return (accuracy if run.settings.best_by == "accuracy" else 0.0), -loss


def _helps(run: Run[Any], found: Outcome | None) -> bool:
    return run.untrained is not None and found is not None and helps(run.untrained, found)


def _state(run: Run[Any]) -> dict[str, Any]:
    return {
        "run": _fingerprint(run),
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "curve": [asdict(point) for point in run.curve],
        "untrained": run.untrained,
        "best": run.best,
        "best_epoch": run.best_epoch,
    }


def _fingerprint(run: Run[Any]) -> dict[str, Any]:
    """What must be the same where a run goes on: settings (but for the device), examples, the weights' shapes."""
    shapes = {k: list(v.shape) for k, v in run.model.state_dict().items()}
    counts = [len(run.examples.train), len(run.examples.held)]
    return {"settings": run.settings.identity(), "examples": counts, **run.examples.identity, "shapes": shapes}


def settings_of(state: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the settings, as `Settings.identity` gives them, of a run that was left in a checkpoint."""
    run = state.get("run")
    return run.get("settings") if isinstance(run, dict) else None


def _restore(run: Run[Any], state: dict[str, Any]) -> None:
    ours, theirs = _fingerprint(run), state.get("run")
    if not isinstance(theirs, dict) or ours != theirs:
        unlike = [k for k in ours if not isinstance(theirs, dict) or theirs.get(k) != ours[k]]
        raise FormatError(
            f"the checkpoint {run.checkpoint} is of another run (its {unlike[0]} differ): resume with the same model, "
            f"data and settings, or start over without resume"
        )
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.curve = [Epoch(**point) for point in state["curve"]]
    run.untrained = state["untrained"]
    run.best = state["best"] and {k: v.to(run.device) for k, v in state["best"].items()}
    run.best_epoch = int(state["best_epoch"])
