"""The literal channel analysis: an integer for every position of every tensor, written out in full, and a union-find.

Slow and short, for networks of convolutions, linear layers, batch norms and the ops that the generated ones call. It
knows no compressed arrays and no rule an op: ops that move positions run on the integers themselves.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from modellego.capture.network import Network

aten = torch.ops.aten
MOVES = {
    aten.flatten.using_ints, aten.slice.Tensor, aten.cat.default, aten.unsqueeze.default, aten.transpose.int,
    aten.split_with_sizes.default, aten.view.default, aten.reshape.default, aten.chunk.default,
}  # fmt: skip
ALONE = {aten.relu.default, aten.sigmoid.default}
MEET = {aten.add.Tensor, aten.mul.Tensor}


class Reference:
    """Ids of all positions (-1 for none), united where they stay or go together; layers' ids by their path."""

    def __init__(self, network: Network) -> None:
        self.parent: list[int] = []
        self.whole: set[int] = set()
        self.made: dict[str, Tensor] = {}
        self.read: dict[str, Tensor] = {}
        self.tensors: list[Tensor] = []
        env: dict[fx.Node, Any] = {}
        for node in network.graph.graph.nodes:
            if node.op == "output":
                self.logits = env[node.args[0]].flatten()
                continue
            env[node] = self._run(node, env, network)
            if isinstance(env[node], Tensor):
                self.tensors.append(env[node])
        self._square()

    def groups(self, ids: Tensor) -> NDArray[np.int64]:
        """Return the group of every id."""
        return np.array([self._find(i) if i >= 0 else -1 for i in ids.flatten().tolist()], dtype=np.int64)

    def cuttable(self) -> set[int]:
        """Return the groups that may go: neither logits, nor all that a tensor has."""
        kept = set(self.groups(self.logits).tolist()) | {self._find(i) for i in self.whole}
        for tensor in self.tensors:
            found = set(self.groups(tensor).tolist())
            kept |= found if len(found) == 1 else set()
        return {self._find(i) for i in range(len(self.parent))} - kept

    def _find(self, i: int) -> int:
        while self.parent[i] != i:
            i = self.parent[i]
        return i

    def _unite(self, a: Tensor, b: Tensor) -> None:
        for i, j in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True):
            if i >= 0 and j >= 0:
                self.parent[self._find(i)] = self._find(j)

    def _along(self, ids: Tensor, axis: int) -> Tensor:
        """Unite all positions that share their place on an axis, and return the ids along it."""
        rows = ids.transpose(0, axis).reshape(ids.shape[axis], -1)
        self._unite(rows, rows[:, :1].expand_as(rows))
        return rows[:, 0]

    def _run(self, node: fx.Node, env: dict[fx.Node, Any], network: Network) -> Any:
        if "value" in node.meta:
            return node.meta["value"]
        shape = node.meta.get("shape", ())
        if node.op == "placeholder":
            return torch.full(shape, -1)
        args = fx.node.map_arg(node.args, lambda n: env[n])
        if node.op == "call_module":
            layer = network.graph.get_submodule(str(node.target))
            return self._layer(layer, str(node.target), args[0], shape)
        if node.target in MOVES:
            return node.target(*args, **node.kwargs)
        if node.target in ALONE:
            return args[0]
        if node.target in MEET:
            tensors = torch.broadcast_tensors(*(a for a in args if isinstance(a, Tensor)))
            self._unite(tensors[0], tensors[-1])
            return torch.maximum(tensors[0], tensors[-1])
        if node.target in (aten.mean.dim, aten.max_pool2d.default):  # channel by channel
            line = self._along(args[0], 1)
            return line.reshape(1, -1, *[1] * (len(shape) - 2)).expand(shape)
        return node.target(*args, **node.kwargs)  # taking a part

    def _layer(self, layer: nn.Module, path: str, ids: Tensor, shape: tuple[int, ...]) -> Tensor:
        axis = ids.ndim - 1 if isinstance(layer, nn.Linear) else 1
        inputs = self._along(ids, axis)
        if isinstance(layer, nn.BatchNorm2d):
            outputs = inputs
        elif isinstance(layer, nn.Conv2d) and layer.groups > 1:
            assert layer.groups == layer.in_channels
            outputs = inputs.repeat_interleave(layer.out_channels // layer.in_channels)
        elif path in self.made:
            outputs = self.made[path]
        else:
            count = int(shape[axis])
            outputs = torch.arange(len(self.parent), len(self.parent) + count)
            self.parent += outputs.tolist()
        if path in self.read:
            self._unite(self.read[path], inputs)
            self._unite(self.made[path], outputs)
        self.read[path], self.made[path] = inputs, outputs
        return outputs.reshape([-1 if a == axis else 1 for a in range(len(shape))]).expand(shape)

    def _square(self) -> None:
        """Unite until every tensor's groups vary along one axis only: of several, the longest is left to vary."""
        before = None
        while before != (before := [self._find(i) for i in range(len(self.parent))]):
            for ids in self.tensors:
                groups = torch.from_numpy(self.groups(ids)).reshape(ids.shape)
                varied = [a for a in range(ids.ndim) if (groups != groups.narrow(a, 0, 1)).any()]
                if len(varied) > 1:
                    self._along(ids, max(varied, key=lambda a: ids.shape[a]))
