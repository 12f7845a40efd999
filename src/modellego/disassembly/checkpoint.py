"""What a long disassembly has worked out so far, written from time to time, so that it can go on from there."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modellego.disassembly.choose import Choice, Found
from modellego.disassembly.identity import Identity, check_same
from modellego.refit.report import StageError
from modellego.refit.stages import Fitted
from modellego.training.checkpoint import load_checkpoint, save_checkpoint

EVERY = 60.0  # seconds between two writings


class Checkpoint:
    """Classes whose contributions are in, the choice, and the layers that are refitted, in one file.

    With `resume` the file must be there, and of the run that `identity` tells; else one that is there is replaced. The
    file is written whole or not at all, first after `EVERY` seconds.

    Raises:
        FormatError: there is no checkpoint to resume from, it is broken, or it is of another run.
    """

    def __init__(self, file: Path, identity: Identity, resume: bool = False) -> None:
        self.file = file
        self._state: dict[str, Any] = {"run": identity}
        self._written = time.monotonic()
        if resume:
            state = load_checkpoint(file)
            check_same(file, identity, state.get("run", {}))
            self._state = {key: value for key, value in state.items() if key != "version"}

    def found(self) -> Found | None:
        """What the classes that were gone through found relevant."""
        kept = self._state.get("found")
        if kept is None:
            return None
        keep, scores, close, needed = (kept[name].numpy() for name in ("keep", "scores", "close", "needed"))
        return Found(keep, scores, close, needed, kept["classes"])

    def keep_found(self, found: Found) -> None:
        """Keep what the classes so far found relevant."""
        arrays = {name: torch.from_numpy(array.copy()) for name, array in vars(found).items() if name != "classes"}
        self._keep("found", lambda: {**arrays, "classes": found.classes})

    def choice(self) -> Choice | None:
        """Which channel groups were chosen."""
        kept = self._state.get("choice")
        return None if kept is None else Choice(kept["keep"].numpy(), tuple(kept["rescued"]), kept["near_ties"])

    def keep_choice(self, choice: Choice) -> None:
        """Keep which channel groups were chosen; what led to it is not needed any more."""
        self._state.pop("found", None)
        chosen: dict[str, Any] = {
            "keep": torch.from_numpy(np.array(choice.keep)),
            "rescued": [int(s) for s in choice.rescued],
        }
        chosen["near_ties"] = choice.near_ties
        self._state["choice"] = chosen
        self._keep("choice", lambda: chosen)

    def fitted(self) -> Fitted | None:
        """The stages that were refitted, and the weights after them."""
        kept = self._state.get("fitted")
        if kept is None:
            return None
        stages = (StageError(**stage | {"layers": tuple(stage["layers"])}) for stage in kept["stages"])
        return Fitted(tuple(stages), kept["weights"])

    def keep_fitted(self, fitted: Fitted) -> None:
        """Keep the stages that are refitted, and the weights after them."""
        stages = [asdict(stage) | {"layers": list(stage.layers)} for stage in fitted.stages]
        self._keep("fitted", lambda: {"stages": stages, "weights": fitted.weights})

    def _keep(self, key: str, value: Callable[[], Any]) -> None:
        """Write the checkpoint with a value, where it is time."""
        if time.monotonic() - self._written < EVERY:
            return
        self._state[key] = value()
        save_checkpoint(self.file, self._state)
        self._written = time.monotonic()
