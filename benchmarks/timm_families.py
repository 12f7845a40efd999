"""Find the smallest model of every timm family, counted on the meta device, into timm_families.json.

`kind` and `reason` (which families are CNNs) are written by hand; new families come as "unknown" until someone looks.
"""

import json
from pathlib import Path
from typing import Any

import torch

from coverage_models import FAMILIES, declare_torchvision_ops


def smallest(module: str) -> dict[str, Any] | None:
    """Return the name and the number of parameters of a family's smallest model."""
    import timm

    best: dict[str, Any] | None = None
    for name in timm.list_models(module=module):
        try:
            with torch.device("meta"):
                count = sum(p.numel() for p in timm.create_model(name).parameters())
        except Exception as error:
            print(f"{name}: {error}")
            continue
        if best is None or count < best["parameters"]:
            best = {"model": name, "parameters": count}
    return best


def main() -> None:
    keep_alive = declare_torchvision_ops()
    import timm

    known = json.loads(Path(FAMILIES).read_text()) if Path(FAMILIES).exists() else {}
    found = {}
    for module in timm.list_modules():
        model = smallest(module)
        if model is not None:
            found[module] = {**known.get(module, {"kind": "unknown", "reason": ""}), **model}
    Path(FAMILIES).write_text(json.dumps(found, indent=1) + "\n")
    del keep_alive


if __name__ == "__main__":
    main()
