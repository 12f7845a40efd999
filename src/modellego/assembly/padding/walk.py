"""What is known while bricks of one topology are padded into one graph: nodes, placements, layers, constants so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch
from torch import fx, nn

from modellego.assembly.padding.placement import Placement, positions_of, side_by_side
from modellego.assembly.padding.topology import Step, describe, same_literals, shapes_of
from modellego.capture.network import Network
from modellego.capture.walk import attribute
from modellego.channels.channel_map import Ids
from modellego.errors import AssemblyError

_aten = torch.ops.aten
Build = Callable[[], "nn.Module | torch.Tensor"]


@dataclass(frozen=True, eq=False)
class Laid:
    """A tensor of the padded graph, and whose channels lie where; without a placement all bricks share the tensor."""

    node: fx.Node
    placement: Placement | None


@dataclass(frozen=True, eq=False)
class Parts:
    """Several tensors picked from one: for each, what each brick's own part holds of `source` (flat positions)."""

    source: Laid
    step: Step
    expected: list[list[Ids]]


@dataclass
class PadWalk:
    """The padded graph in the making.

    Layers and constants are entered as functions that make them, so that all refusals come before any weight is
    copied.
    """

    networks: Sequence[Network]
    names: Sequence[str]
    graph: fx.Graph = field(default_factory=fx.Graph)
    root: dict[str, Build] = field(default_factory=dict)
    values: dict[fx.Node, Laid | Parts] = field(default_factory=dict)
    layers: dict[tuple[int, ...], tuple[str, Placement | None, Placement | None]] = field(default_factory=dict)
    picked: dict[tuple[Any, ...], fx.Node] = field(default_factory=dict)
    constants: dict[tuple[Any, ...], fx.Node] = field(default_factory=dict)

    def tensor(self, node: fx.Node) -> Laid:
        """Return what stands for a brick's tensor in the padded graph."""
        found = self.values[node]
        assert isinstance(found, Laid)
        return found

    def refuse(self, step: Step, reason: str) -> NoReturn:
        """Say which layers cannot be padded, and why."""
        shapes = ", ".join(f"{name} {shapes_of(node)}" for name, node in zip(self.names[1:], step[1:], strict=True))
        raise AssemblyError(
            f"{self.names[0]}'s {describe(step[0])} cannot be padded beside the other's ({shapes}): {reason}; "
            f"use layout='parallel'"
        )

    def padded_shape(self, step: Step, axis: int | None) -> tuple[int, ...]:
        """Return the shape of a step's result, the bricks side by side along `axis` (None: shared)."""
        shapes = [tuple(node.meta["shape"]) for node in step]
        first = list(shapes[0])
        unlike = [
            a for a in range(len(first)) if a != axis and any(len(s) != len(first) or s[a] != first[a] for s in shapes)
        ]
        if unlike:
            self.refuse(step, "their shapes differ along other axes than the channels'")
        if axis is not None:
            first[axis] = sum(s[axis] for s in shapes)
        return tuple(first)

    def emit(
        self,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None = None,
        shape: Sequence[int] | None = None,
        like: fx.Node | None = None,
    ) -> fx.Node:
        """Add a call of an op or, for a path, of a layer; `like` lends its name and its place in the source model."""
        op = "call_module" if isinstance(target, str) else "call_function"
        node = self.graph.create_node(op, target, args, kwargs or {}, name=like.name if like else None)
        if shape is not None:
            node.meta["shape"] = tuple(int(s) for s in shape)
        if like is not None:
            for key in ("nn_module_stack", "value"):
                if key in like.meta:
                    node.meta[key] = like.meta[key]
        return node

    def emit_like(
        self,
        step: Step,
        placement: Placement | None,
        swaps: dict[fx.Node, fx.Node] | None = None,
        args: tuple[Any, ...] | None = None,
    ) -> Laid:
        """Add the call the first brick makes, on the padded tensors; `swaps` puts other nodes in some places."""
        node = step[0]

        def moved(n: fx.Node) -> fx.Node:
            return swaps[n] if swaps and n in swaps else self.tensor(n).node

        shape = self.padded_shape(step, placement.axis if placement else None) if "shape" in node.meta else None
        new = self.emit(
            node.target,
            fx.node.map_arg(node.args if args is None else args, moved),
            fx.node.map_arg(dict(node.kwargs), moved),
            shape,
            like=node,
        )
        return Laid(new, placement)

    def place(self, path: str, build: Build) -> str:
        """Enter a layer or constant under a name that is still free, and return the name."""
        name, count = path, 1
        while any(t == name or t.startswith(name + ".") or name.startswith(t + ".") for t in self.root):
            count += 1
            name = f"{path}_{count}"
        self.root[name] = build
        return name

    def constant(self, path: str, build: Callable[[], torch.Tensor], shape: Sequence[int]) -> fx.Node:
        """Add a node that reads a new constant."""
        node = self.graph.get_attr(self.place(path, build))
        node.meta["shape"] = tuple(shape)
        return node

    def pick(self, node: fx.Node, axis: int, positions: Ids) -> fx.Node:
        """Take positions along an axis: the tensor itself, a slice of it, or an `index_select`."""
        shape = list(node.meta["shape"])
        count = len(positions)
        if np.array_equal(positions, np.arange(shape[axis])):
            return node
        key = (node, axis, positions.tobytes())
        if key not in self.picked:
            after = [*shape[:axis], count, *shape[axis + 1 :]]
            if count and np.array_equal(positions, np.arange(positions[0], positions[0] + count)):
                args: tuple[Any, ...] = (node, axis, int(positions[0]), int(positions[0]) + count)
                self.picked[key] = self.emit(_aten.slice.Tensor, args, shape=after)
            else:
                index = torch.from_numpy(np.ascontiguousarray(positions))
                chosen = self.constant(f"order_{node.name}", lambda: index, [count])
                self.picked[key] = self.emit(_aten.index_select.default, (node, axis, chosen), shape=after)
        return self.picked[key]

    def arrange(self, laid: Laid, wanted: Placement) -> Laid:
        """Bring a tensor's channels into another order."""
        assert laid.placement is not None
        positions = positions_of(laid.placement, wanted.brick, wanted.place)
        return Laid(self.pick(laid.node, wanted.axis, positions), wanted)

    def own_part(self, laid: Laid, brick: int, size: int) -> fx.Node:
        """Take one brick's channels out, in that brick's own order."""
        if laid.placement is None:
            return laid.node
        place = np.arange(size, dtype=np.int64)
        positions = positions_of(laid.placement, np.full(size, brick, dtype=np.int64), place)
        return self.pick(laid.node, laid.placement.axis, positions)

    def spread(self, laid: Laid, axis: int) -> Laid:
        """Give each brick a copy of its own of a tensor that all share."""
        if laid.placement is not None:
            return laid
        shape, count = laid.node.meta["shape"], len(self.networks)
        placement = side_by_side(axis, [shape[axis]] * count)
        key = (laid.node, axis, "copies")
        if key not in self.picked:
            after = [*shape[:axis], shape[axis] * count, *shape[axis + 1 :]]
            self.picked[key] = self.emit(_aten.cat.default, ([laid.node] * count, axis), shape=after)
        return Laid(self.picked[key], placement)

    def tensors_of(self, step: Step, node: fx.Node) -> list[torch.Tensor]:
        """Return each brick's constant that stands where `node`, a `get_attr` read by the first brick's node, does."""
        place = [n for n in step[0].all_input_nodes if n.op == "get_attr"].index(node)
        found = []
        for own in step:
            reads = [n for n in own.all_input_nodes if n.op == "get_attr"]
            if place >= len(reads):
                self.refuse(step, "one reads a constant where the other reads none")
            found.append(attribute(own.graph.owning_module, str(reads[place].target)))
        return found

    def all_shared(self, step: Step) -> bool:
        """Say whether a step does the same thing to the same tensors in all bricks."""
        for node in step[0].all_input_nodes:
            if node.op == "get_attr":
                if not all_equal(self.tensors_of(step, node)):
                    return False
            elif not isinstance(found := self.values[node], Laid) or found.placement is not None:
                return False
        return same_literals(step)

    def copy_shared(self, step: Step) -> Laid:
        """Add a step that all bricks share as it is."""
        return self.emit_like(step, None, self.shared_constants(step))

    def shared_constants(self, step: Step) -> dict[fx.Node, fx.Node]:
        """Enter the first brick's constants as they are."""
        return {n: self._shared_constant(step, n) for n in step[0].all_input_nodes if n.op == "get_attr"}

    def _shared_constant(self, step: Step, node: fx.Node) -> fx.Node:
        key = (str(node.target),)
        if key not in self.constants:
            tensor = self.tensors_of(step, node)[0]
            self.constants[key] = self.constant(str(node.target), lambda: copied(tensor), tensor.shape)
        return self.constants[key]


def all_equal(tensors: Sequence[torch.Tensor]) -> bool:
    """Say whether all tensors hold the same numbers."""
    return all(torch.equal(t, tensors[0]) for t in tensors[1:])


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a constant; a parameter stays a parameter."""
    value = tensor.detach().clone()
    return nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value


def as_kind_of(value: torch.Tensor, models: Sequence[torch.Tensor]) -> torch.Tensor:
    """Make `value` a parameter where one of the tensors it was made from is one."""
    parameters = [m for m in models if isinstance(m, nn.Parameter)]
    if not parameters:
        return value
    return nn.Parameter(value, any(p.requires_grad for p in parameters))
