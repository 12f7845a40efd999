"""The adjoint of each op for relevance: how what is relevant after an op makes what it reads relevant."""

import numpy as np
from torch import fx, nn

from modellego.capture.ops import op_name
from modellego.channels.structure import argument
from modellego.contribution.flow import (
    Flags,
    Flow,
    any_along,
    channel_axis,
    family_of,
    fit,
    is_depthwise,
    one_axis,
    reduced_axes,
    sources_of,
)


class Backward:
    """Relevance found so far, tensor by tensor, while the graph is walked backwards."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._found: dict[fx.Node, Flags] = {}
        self._parts: dict[fx.Node, dict[int, Flags]] = {}

    def of(self, node: fx.Node) -> Flags:
        """Return what the readers of a node's tensor found relevant: their union, so far."""
        return self._found.get(node, np.zeros(self.flow.shapes[node], dtype=np.bool_))

    def mark(self, node: fx.Node, flags: Flags) -> None:
        """Add to a tensor what one of its readers finds relevant."""
        if node in self.flow.shapes:
            self._found[node] = self.of(node) | fit(flags, self.flow.shapes[node])

    def through(self, node: fx.Node) -> None:
        """Pass a node's relevance on to what it reads; for every node but the layers that vote."""
        flags = self._found.get(node)
        if node in self._parts or (flags is not None and flags.any()):
            self._pass(node, self.of(node))

    def _pass(self, node: fx.Node, flags: Flags) -> None:
        sources = sources_of(node)
        family = family_of(node) if node.op == "call_function" else node.op
        if op_name(node.target) == "operator.getitem" and isinstance(node.args[0], fx.Node):
            self._into_part(node.args[0], int(node.args[1]), flags)  # type: ignore[arg-type]
        elif node in self.flow.moves:
            self._scatter(node, sources, flags)
        elif family == "call_module":
            self.mark(sources[0], _through_layer(self.flow.layer(node), flags))
        elif family == "reduction":
            if flags.ndim < len(self.flow.shapes[sources[0]]):
                flags = np.expand_dims(flags, reduced_axes(node))
            self.mark(sources[0], flags)
        elif family == "matmul" and len(sources) > 1:
            value = node.args[2 if "scaled_dot_product" in str(node.target) else 1]
            heads = any_along(flags, (-1, -2))  # what is compared is relevant where its result is
            for source in sources:
                if source is not value or source is node.args[0]:
                    self.mark(source, heads)
            self.mark(value, any_along(flags, (-2,)))  # type: ignore[arg-type]
        elif family == "pad":
            self.mark(sources[0], _unpad(node, flags))
        elif family in ("elementwise", "binary", "spatial"):
            for source in sources:
                self.mark(source, flags)
        else:
            for source in sources:
                self.mark(source, np.ones((1,) * len(source.meta["shape"]), dtype=np.bool_))

    def _into_part(self, parent: fx.Node, part: int, flags: Flags) -> None:
        if parent not in self.flow.moves:
            self.mark(parent, flags)
            return
        parts = self._parts.setdefault(parent, {})
        parts[part] = parts.get(part, np.zeros_like(flags)) | flags

    def _scatter(self, node: fx.Node, sources: list[fx.Node], flags: Flags) -> None:
        """Send relevance back to the positions it came from."""
        sizes = [int(np.prod(self.flow.shapes[s], dtype=np.int64)) for s in sources]
        hit = np.zeros(sum(sizes), dtype=np.bool_)
        moves = self.flow.moves[node]
        parts = self._parts.get(node, {}) if "shape" not in node.meta else {0: flags}
        for part, found in parts.items():
            positions = moves[part][np.broadcast_to(found, moves[part].shape)]
            hit[positions[positions >= 0]] = True
        for source, piece in zip(sources, np.split(hit, np.cumsum(sizes)[:-1]), strict=True):
            self.mark(source, piece.reshape(self.flow.shapes[source]))


def _through_layer(layer: nn.Module, flags: Flags) -> Flags:
    """Pass relevance through a layer that does not vote: norms, dropout, depthwise convolutions, token mixing."""
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and is_depthwise(layer):
        by_channel = any_along(flags.reshape(layer.in_channels, -1), (1,))
        return by_channel.reshape(one_axis(flags.ndim, channel_axis(layer, flags.ndim), layer.in_channels))
    if isinstance(layer, nn.Linear):  # it mixes positions, each channel alone
        return any_along(flags, (-1,))
    return flags


def _unpad(node: fx.Node, flags: Flags) -> Flags:
    """Cut off what padding put beside channels."""
    pads = list(argument(node, "pad"))
    for i in range(len(pads) // 2):
        axis = flags.ndim - 1 - i
        if flags.shape[axis] > 1:
            before, after = int(pads[2 * i]), int(pads[2 * i + 1])
            inner = np.arange(max(0, before), flags.shape[axis] - max(0, after))
            flags = np.take(flags, inner, axis)
            if min(before, after) < 0:  # cropped channels are read by nobody
                widths = [(0, 0)] * flags.ndim
                widths[axis] = (max(0, -before), max(0, -after))
                flags = np.pad(flags, widths)
    return flags
