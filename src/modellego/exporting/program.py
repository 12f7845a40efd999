"""PyTorch's own format: a served brick as an exported program (`.pt2`), with a dynamic batch axis."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from modellego.errors import ExportError
from modellego.exporting.served import Served

METADATA = "modellego.json"


def write_program(served: Served, images: Tensor, path: Path, told: dict[str, str]) -> None:
    """Write a `.pt2` file that `torch.export.load(path).module()` runs; `told` lies in it as `modellego.json`.

    Raises:
        ExportError: the model cannot be exported.
    """
    try:
        program = torch.export.export(served, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False)
    except Exception as error:  # torch.export has no error of its own
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(f"this model cannot be exported as a program: {first.strip()}") from error
    torch.export.save(program, path, extra_files={METADATA: json.dumps(told)})


def open_program(path: Path) -> nn.Module:
    """Return the module of a `.pt2` file."""
    return torch.export.load(path).module()


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a `.pt2` file says about itself."""
    files = {METADATA: ""}
    torch.export.load(path, extra_files=files)
    found: dict[str, str] = json.loads(files[METADATA])
    return found
