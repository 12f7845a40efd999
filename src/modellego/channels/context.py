"""What is known while a network's graph is walked: ids so far, ties, readings, and constants that adopt ids."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import fx, nn

from modellego.channels.arrays import align, no_channels, varying
from modellego.channels.channel_map import Ids
from modellego.channels.ties import Ties


@dataclass
class RuleContext:
    """What is known while the graph is walked: the ids of every tensor so far, ties, readings, layers.

    A rule reads `ids_of`, ties or pins through `ties`, and returns the ids of its node's result. A constant (a bare
    parameter) has no ids of its own: it adopts those of the tensor it meets.
    """

    graph: fx.GraphModule
    ties: Ties = field(default_factory=Ties)
    ids: dict[fx.Node, Ids | list[Ids] | None] = field(default_factory=dict)
    readers: list[tuple[fx.Node, Ids, Ids]] = field(default_factory=list)
    layer_in: dict[str, Ids] = field(default_factory=dict)
    layer_out: dict[str, Ids] = field(default_factory=dict)
    groups: list[tuple[Ids, Ids]] = field(default_factory=list)
    reduced: list[Ids] = field(default_factory=list)
    approximate: dict[str, str] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)

    def ids_of(self, node: fx.Node) -> Ids:
        """Return a tensor's ids; a constant that has met no channels yet has none."""
        found = self.ids.get(node)
        return found if isinstance(found, np.ndarray) else no_channels(len(node.meta["shape"]))

    def layer(self, node: fx.Node) -> nn.Module:
        """Return the layer a `call_module` node calls."""
        return self.graph.get_submodule(str(node.target))

    def is_constant(self, node: fx.Node) -> bool:
        """Say whether a node is a bare parameter, or one expanded to the batch."""
        return self.ids.get(node, ()) is None

    def adopt(self, node: fx.Node, ids: Ids) -> None:
        """Let a constant take the ids of the tensor it meets, where it has a size of its own; ties to a second one."""
        shape = tuple(node.meta["shape"])
        ndim = max(ids.ndim, len(shape))
        ids, full = align(ids, ndim), (1,) * (ndim - len(shape)) + shape
        thin = tuple(a for a in varying(ids) if full[a] == 1)
        if set(varying(ids)) == set(thin):  # one number for all channels
            ids = no_channels(ndim)
        ids = self.ties.tie_along(ids, thin) if varying(ids) else ids
        ids = ids.reshape(ids.shape[ndim - len(shape) :])
        known = self.ids[node]
        if isinstance(known, np.ndarray):
            self.ties.tie(known, ids)
            if (known < 0).any() != (ids < 0).any():
                self.pin(node, known, "a constant read in two ways")
                self.pin(node, ids, "a constant read in two ways")
        else:
            self.ids[node] = ids
        if node.op != "get_attr" and isinstance(node.args[0], fx.Node):
            base = node.args[0]
            if base.op == "get_attr":
                self.adopt(base, ids)

    def pin(self, node: fx.Node, ids: Ids, reason: str) -> None:
        """Keep all these channels whole, and remember why."""
        if (ids >= 0).any():
            self.ties.pin(ids)
            self.pinned[node.name] = reason

    def pin_inputs(self, node: fx.Node, reason: str) -> Any:
        """Keep whole all that a node reads; its result has no channels to cut."""
        for source in node.all_input_nodes:
            found = self.ids.get(source)
            for ids in found if isinstance(found, list) else [found]:
                if ids is not None:
                    self.pin(node, ids, reason)
        shape = node.meta.get("shape")
        if shape is not None:
            return no_channels(len(shape))
        return [no_channels(0)] * 8 if "value" not in node.meta else None

    def collapse(self, ids: Ids, axes: tuple[int, ...]) -> Ids:
        """Tie the positions along the axes and keep one."""
        return self.ties.tie_along(ids, axes)
