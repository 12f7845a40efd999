"""Reads state dicts without running code from them, and says in one sentence why they do not fit."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modellego.errors import SourceError

Shapes = Mapping[str, torch.Size]
WRAPPERS = ("module.", "_orig_mod.")  # what data-parallel training and torch.compile put before every name


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict from a safetensors or torch file, on the CPU, without running code from it.

    A dict under `state_dict`, `model_state_dict` or `model` is taken out, and the `module.` or `_orig_mod.` removed
    that data-parallel training or `torch.compile` puts before every name. Raises `SourceError` for a missing or
    unreadable file.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise SourceError(f"there is no weights file {path}")
    if is_torchscript(file):
        raise SourceError(
            f"{path} is TorchScript, a program and not plain weights: save its state dict, "
            f"torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pt')"
        )
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # broken files raise nearly anything, and so do pickled models
        reason = reason_of(error)
        if "Weights only load failed" in str(error):
            reason = "a pickled model, or a broken file; no code of it is run"
        raise SourceError(
            f"{path} holds no plain weights ({reason}): save the model's state_dict, best as safetensors"
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise SourceError(f"{path} holds no state dict: save the model's state_dict, best as safetensors")
    while prefix := next((p for p in WRAPPERS if all(key.startswith(p) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def is_torchscript(file: Path) -> bool:
    """Say whether a file is a TorchScript archive: one that holds code."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any("/code/" in name for name in archive.namelist())


def reason_of(error: Exception) -> str:
    """Return the first line of what a library says of a file it cannot read."""
    return str(error).splitlines()[0][:200] if str(error) else "broken file"


def misfit(model: Shapes, file: Shapes) -> str | None:
    """What keeps weights from fitting a model: the first missing, unexpected or misshapen key, or None.

    Batch norm's step counters may be missing.

    >>> misfit({"fc.weight": torch.Size([10, 4])}, {"fc.weight": torch.Size([5, 4])})
    'fc.weight is 5x4 in the file and 10x4 in the model'
    """
    missing = [k for k in model if k not in file and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in file if k not in model]
    misshapen = [k for k in model if k in file and model[k] != file[k]]
    if missing:
        also = f", and {unexpected[0]} is not in the model" if unexpected else ""
        return f"{missing[0]} is missing in the file ({len(missing)} of {len(model)} tensors are){also}"
    if unexpected:
        return f"{unexpected[0]} is not in the model ({len(unexpected)} of {len(file)} tensors are not)"
    if misshapen:
        one, two = ("x".join(map(str, s[misshapen[0]])) or "a number" for s in (file, model))
        return f"{misshapen[0]} is {one} in the file and {two} in the model"
    return None


def fill(model: nn.Module, state: Mapping[str, Tensor], weights: str | os.PathLike[str], name: str) -> None:
    """Copy weights into a model in place; raises `SourceError` naming the first tensor that does not fit."""
    wrong = misfit(shapes_of(model.state_dict()), shapes_of(state))
    if wrong:
        raise SourceError(f"the weights {weights} do not fit {name}: {wrong}")
    model.load_state_dict(state, strict=False)


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """The shape of every tensor of a state dict."""
    return {key: value.shape for key, value in state.items()}


def meta_shapes(make: Any, *args: Any, **options: Any) -> dict[str, torch.Size]:
    """The tensors a network would have, without building them."""
    with torch.device("meta"):
        return shapes_of(make(*args, **options).state_dict())
