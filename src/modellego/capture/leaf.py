"""Modules that capture takes as one op: what cannot be traced (control flow on data) runs as it stands."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from modellego.capture.ops import add_op
from modellego.errors import CaptureError

LeafRule = Callable[..., Any]  # (walk, node) -> ids, as `modellego.channels.add_rule` takes them
LEAF_RULES: dict[str, LeafRule] = {}
_numbers = itertools.count()


@contextmanager
def leaves_as_ops(model: nn.Module, leaf: Mapping[str, LeafRule]) -> Iterator[None]:
    """Let the named modules be single ops while a model is exported; the model is put back afterwards.

    `leaf` names modules by their path or by their class, and gives each a rule. A leaf has no weights of its own and
    maps one tensor to one of the same shape. Its op is entered into the closed list as `leaf.CLASS.PATH`, for this
    process. Raises `CaptureError` for a name that is not in the model and for a module with weights.
    """
    modules = {path: m for path, m in model.named_modules() if path}
    chosen: dict[str, LeafRule] = {}
    for name, rule in leaf.items():
        found = [path for path, m in modules.items() if name in (path, type(m).__name__)]
        if not found:
            raise CaptureError(f"leaf={name!r} names no module of {type(model).__name__}: give a path or a class name")
        chosen |= dict.fromkeys(found, rule)
    for path in chosen:
        if list(modules[path].state_dict()):
            raise CaptureError(f"the leaf {path} has weights, which an op cannot hold: name a part of it without any")
    for path, rule in chosen.items():
        name = f"leaf.{type(modules[path]).__name__}.{path}"
        op = _op(modules[path].forward)
        add_op(name, op.default)
        LEAF_RULES[name] = rule
        modules[path].forward = op
    try:
        yield
    finally:
        for path in chosen:
            del modules[path].forward


def _op(forward: Callable[[Tensor], Tensor]) -> Any:
    """Make a torch op of a module's forward; what it returns is a tensor of its own."""

    def run(x: Tensor) -> Tensor:
        return forward(x).clone()

    name = f"leaf{next(_numbers)}"
    torch.library.custom_op(f"modellego::{name}", run, mutates_args=()).register_fake(torch.empty_like)
    return getattr(torch.ops.modellego, name)


__all__ = ["LEAF_RULES", "LeafRule", "leaves_as_ops"]
