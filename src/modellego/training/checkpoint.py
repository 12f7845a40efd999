"""Checkpoints of a training run: one file, written whole or not at all, read without pickle's code."""

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from modellego.errors import FormatError

VERSION = 2


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values to `path`: to a file beside it first, then renamed.

    Raises:
        FormatError: it cannot be written.
    """
    target = Path(os.path.abspath(path))
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save({"version": VERSION} | state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FormatError(f"the checkpoint {path} cannot be written: {error.strerror or error}") from error


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only tensors and plain values are let in.

    Raises:
        FormatError: there is none, or it is broken, of another version, or no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FormatError(f"there is no checkpoint {path} to resume from: leave resume out to start over") from None
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise FormatError(f"the checkpoint {path} cannot be read: start over without resume") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise FormatError(f"{path} is not a checkpoint of this version: start over without resume")
    return state
