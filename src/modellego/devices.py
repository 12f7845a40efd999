"""Where networks run: which devices are there, and modules moved to one of them for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn
from torch.fx.node import map_aggregate

from modellego.errors import LegoError

AUTO = "auto"  # where the module is already: the CPU for all that was loaded


def known_devices() -> tuple[str, ...]:
    """Return the names of the devices that torch can use here.

    >>> known_devices()[0]
    'cpu'
    """
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ("cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else []))


def find_device(name: str) -> torch.device:
    """Return a device by its name: `cpu`, `cuda` (this process's), `cuda:1`, `mps`.

    Raises:
        LegoError: it is not here.

    >>> find_device("cpu")
    device(type='cpu')
    """
    here = known_devices()
    found = f"cuda:{torch.cuda.current_device()}" if name == "cuda" and torch.cuda.is_available() else name
    if found not in here:
        raise LegoError(f"there is no device {name!r} here: there is {', '.join(here)}")
    return torch.device(found)


def check_device(name: str) -> str:
    """Return a device's name, `auto` too, or refuse it as `find_device` does.

    >>> check_device("auto")
    'auto'
    """
    if name != AUTO:
        find_device(name)
    return name


@contextmanager
def moved(name: str, *modules: nn.Module) -> Iterator[None]:
    """Hold modules on a device, and put each back where it was; `auto` leaves them where they are.

    Raises:
        LegoError: the device is not here.

    >>> net = nn.Linear(3, 2)
    >>> with moved("cpu", net):
    ...     print(net.weight.device)
    cpu
    """
    if name == AUTO:
        yield
        return
    device = find_device(name)
    homes = [home_of(module) for module in modules]
    try:
        for module in modules:
            place(module, device)
        yield
    finally:
        for module, home in zip(modules, homes, strict=True):
            place(module, home)


def home_of(module: nn.Module) -> torch.device:
    """Return the device of a module's weights, the CPU where it has none.

    >>> home_of(nn.ReLU())
    device(type='cpu')
    """
    return next((tensor.device for tensor in (*module.parameters(), *module.buffers())), torch.device("cpu"))


def place(module: nn.Module, device: torch.device) -> None:
    """Move a module to a device, in place: its weights, and the devices that graphs in it name.

    >>> net = fx.symbolic_trace(nn.ReLU())
    >>> place(net, torch.device("cpu"))
    """
    module.to(device)
    for part in module.modules():
        if isinstance(part, fx.GraphModule):
            _name_device(part, device)


def _name_device(network: fx.GraphModule, device: torch.device) -> None:
    changed = False

    def renamed(value: object) -> object:
        nonlocal changed
        other = isinstance(value, torch.device) and value != device
        changed = changed or other
        return device if other else value

    for node in network.graph.nodes:
        args, kwargs = map_aggregate((node.args, node.kwargs), renamed)  # type: ignore[arg-type]
        if changed:
            node.args, node.kwargs = args, kwargs
    if changed:
        network.recompile()
