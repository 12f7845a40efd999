"""Runs in a process of its own: imports packages one by one, then tries the devices and captures a small network.

What a package breaks, or takes down with it, then breaks nothing else. Each line on stdout is a JSON object.
"""

import importlib
import json
import sys
from typing import Any


def tell(**found: Any) -> None:
    """Print one finding, at once: the next import may end this process."""
    print(json.dumps(found), flush=True)


def reason(error: BaseException) -> str:
    """Return an error in one line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return f"{type(error).__name__}: {first[:200]}"


def devices() -> dict[str, str]:
    """Return every device torch knows of and what it is called."""
    import torch

    threads = torch.get_num_threads()
    found = {"cpu": f"{threads} thread{'s' * (threads > 1)}"}
    for number in range(torch.cuda.device_count()):
        found[f"cuda:{number}"] = torch.cuda.get_device_name(number)
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def try_device(name: str) -> None:
    """Multiply two small matrices on a device."""
    import torch

    small = torch.ones(4, 4, device=name)
    assert float((small @ small).sum()) == 64


def try_capture() -> None:
    """Capture a small network, which is where a new torch would break first."""
    from torch import nn

    from modellego.capture import capture

    capture(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2)), (1, 8, 8))


def main(modules: list[str]) -> None:
    """Probe modules, then devices and capture (`modules` ends in "devices" where these are wanted)."""
    for name in modules:
        if name == "devices":
            break
        tell(begin=name)
        try:
            importlib.import_module(name)
            tell(module=name, problem=None)
        except BaseException as error:
            tell(module=name, problem=reason(error))
    if "devices" not in modules:
        return
    try:
        names = devices()
    except Exception as error:
        tell(check="devices", problem=reason(error))
        return
    for name, called in names.items():
        try:
            try_device(name)
            tell(device=name, called=called, problem=None)
        except Exception as error:
            tell(device=name, called=called, problem=reason(error))
    try:
        try_capture()
        tell(check="capture by torch.export", problem=None)
    except Exception as error:
        tell(check="capture by torch.export", problem=reason(error))


if __name__ == "__main__":
    main(sys.argv[1:])
