"""What a keep mask would cost, without cutting: MACs and parameters from the channel groups alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from modellego.capture.layers import WeightedLayer
from modellego.capture.network import Network
from modellego.channels.channel_map import ChannelMap, Ids, KeepMask

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Product:
    """A cost of `unit * sum over groups (inputs kept) * (outputs kept)`: a layer's MACs, or its weight's numbers."""

    inputs: Ids
    outputs: Ids
    groups: int
    unit: int


class CostModel:
    """Costs of a network under keep masks: `macs(keep)` of convolutions and linear layers, `parameters(keep)`.

    Matrix products between feature maps (attention) count as uncut, so that a budget is never overrun. `logits` are
    the task's; the others count as cut where `cut` cuts them.

    >>> from modellego.capture import capture
    >>> from modellego.channels import analyse
    >>> net = capture(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5)), (3,))
    >>> found = analyse(net)
    >>> model = CostModel(net, found, logits=[0, 1])
    >>> keep = found.keep_all()
    >>> int(model.macs(keep)), int(model.parameters(keep))
    (20, 26)
    >>> keep[found.layer_out["0"][0]] = False
    >>> int(model.macs(keep)), int(model.parameters(keep))
    (15, 20)
    """

    def __init__(self, network: Network, channels: ChannelMap, logits: list[int] | None = None) -> None:
        self.channels, self._logits = channels, logits
        self.fixed_macs = 0
        self._macs: list[_Product] = []
        self._weights: list[_Product] = []
        self._vectors: list[Ids] = []
        modules = dict(network.graph.named_modules())
        seen: set[str] = set()
        for node in network.graph.graph.nodes:
            if node.op == "call_function":
                self.fixed_macs += _product_macs(node)
            if node.op == "get_attr" and str(node.target) not in seen:
                self._bare_parameter(network.graph, node)
                seen.add(str(node.target))
            if node.op != "call_module":
                continue
            path = str(node.target)
            layer = modules[path]
            if isinstance(layer, WeightedLayer):
                if path not in channels.layer_in:
                    self._mixes_positions(node.name, layer, node.meta["shape"], path in seen)
                    seen.add(path)
                    continue
                product = self._product(path, layer, node.meta["shape"])
                self._macs.append(product)
                if path not in seen:
                    kernel = math.prod(layer.kernel_size) if not isinstance(layer, nn.Linear) else 1
                    self._weights.append(_Product(product.inputs, product.outputs, product.groups, kernel))
                    if layer.bias is not None:
                        self._vectors.append(product.outputs)
            elif path not in seen and path in channels.layer_in:
                self._vectors += [channels.layer_in[path].reshape(-1) for _ in layer.parameters()]
            seen.add(path)

    def _product(self, path: str, layer: nn.Module, shape: tuple[int, ...]) -> _Product:
        inputs, outputs = self.channels.layer_in[path], self.channels.layer_out[path]
        if isinstance(layer, nn.Linear):
            return _Product(inputs, outputs, 1, math.prod(shape[1:-1]))
        assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        return _Product(inputs, outputs, layer.groups, math.prod(shape[2:]) * math.prod(layer.kernel_size))

    def _mixes_positions(self, node: str, layer: nn.Module, shape: tuple[int, ...], again: bool) -> None:
        """Count a layer that works on positions, once per channel (token mixing): its own weights are never cut."""
        assert isinstance(layer, WeightedLayer)
        ids = self.channels.ids[node].reshape(-1)
        weight = layer.weight
        fan_in = np.full(weight[0].numel(), -1, dtype=np.int64)
        self._macs.append(_Product(fan_in, ids, 1, math.prod(shape) // ids.size))
        if not again:
            outputs = np.full(weight.shape[0], -1, dtype=np.int64)
            self._weights.append(_Product(fan_in, outputs, 1, 1))
            self._vectors += [outputs] if layer.bias is not None else []

    def _bare_parameter(self, graph: fx.GraphModule, node: fx.Node) -> None:
        """Count a parameter that is in no layer (a class token, positions), cut along the channels that it meets."""
        owner, _, name = str(node.target).rpartition(".")
        value = getattr(graph.get_submodule(owner), name)
        if isinstance(value, nn.Parameter):
            ids = self.channels.ids.get(node.name, np.full(1, -1, dtype=np.int64)).reshape(-1)
            rest = np.full(value.numel() // ids.size, -1, dtype=np.int64)
            self._weights.append(_Product(rest, ids, 1, 1))

    def alive(self, keep: KeepMask) -> KeepMask:
        """Return which sets the cut network would have: what is kept or may not be cut, less the other logits."""
        return self.channels.left_by(keep, self._logits)

    def macs(self, keep: KeepMask) -> int:
        """Return multiply-accumulates for one image."""
        alive = self.alive(keep)
        return self.fixed_macs + sum(_total(p, alive) for p in self._macs)

    def parameters(self, keep: KeepMask) -> int:
        """Return the number of parameters."""
        alive = self.alive(keep)
        return sum(_total(p, alive) for p in self._weights) + sum(int(_on(v, alive).sum()) for v in self._vectors)

    def along(self, order: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return MACs and parameters of the whole network and after each removal of an order, `len(order) + 1` each.

        Only the layers that a removed group is part of are counted anew.
        """
        keep = self.channels.keep_all()
        alive = self.alive(keep)
        macs, parameters = [self.macs(keep)], [self.parameters(keep)]
        products = [*self._macs, *self._weights]
        sides = [[_counts(ids, p.groups, alive) for ids in (p.inputs, p.outputs)] for p in products]
        parts = _parts(products, self.channels.n_groups)
        numbers = np.zeros(self.channels.n_groups, dtype=np.int64)
        for vector in self._vectors:
            numbers += _count(vector, numbers.size)
        for chosen in order:
            change = [0, 0]
            if alive[chosen] and self.channels.cuttable[chosen]:
                change[1] -= int(numbers[chosen])
                for which, side, group, count in parts.get(chosen, ()):
                    sides[which][side][group] -= count
                    lost = products[which].unit * count * sides[which][1 - side][group]
                    change[which >= len(self._macs)] -= lost
                alive[chosen] = False
            macs.append(macs[-1] + change[0])
            parameters.append(parameters[-1] + change[1])
        return macs, parameters

    def saving(self, keep: KeepMask, what: str = "macs") -> Floats:
        """Return what each group, removed alone, would save, float64 `[n_groups]`, given what is kept now.

        `what` is "macs", "parameters", or "groups": each counts as one.
        """
        if what == "groups":
            return np.ones(self.channels.n_groups)
        alive = self.alive(keep)
        total = (self._macs_saved if what == "macs" else self._weights_saved).of(alive)
        if what != "macs":
            for vector in self._vectors:
                total += _count(vector[_on(vector, alive)], total.size)
        return total

    @cached_property
    def _macs_saved(self) -> "_Savings":
        return _Savings(self._macs, self.channels.n_groups)

    @cached_property
    def _weights_saved(self) -> "_Savings":
        return _Savings(self._weights, self.channels.n_groups)


class _Savings:
    """What each channel group saves in some products: all their channels laid end to end, to be added up at once.

    A side's channels, of one group of a layer, stand together: each saves `unit` times the channels of the other side.
    """

    def __init__(self, products: Sequence[_Product], n_groups: int) -> None:
        self._n_groups = n_groups
        sides: list[Ids] = []
        units: list[float] = []
        others: list[int] = []
        for p in products:
            inputs, outputs = (list(ids.reshape(p.groups, -1)) for ids in (p.inputs, p.outputs))
            first, depthwise = len(sides), p.inputs.size <= p.groups  # where in and out go together
            sides += inputs + outputs
            units += [0.0 if depthwise else float(p.unit)] * p.groups + [float(p.unit)] * p.groups
            others += [first + p.groups + g for g in range(p.groups)] + [first + g for g in range(p.groups)]
        self._ids = np.concatenate(sides) if sides else np.zeros(0, dtype=np.int64)
        lengths = np.array([len(ids) for ids in sides], dtype=np.int64)
        self._side = np.repeat(np.arange(len(sides)), lengths)
        self._units, self._others = np.array(units), np.array(others, dtype=np.int64)

    def of(self, alive: KeepMask) -> Floats:
        """Return what each group would save, float64 `[n_groups]`, of what is alive now."""
        on = _on(self._ids, alive)
        left = np.bincount(self._side[on], minlength=len(self._units))
        each = self._units * left[self._others]
        inner = on & (self._ids >= 0)
        total = np.zeros(self._n_groups)
        total += np.bincount(self._ids[inner], weights=each[self._side[inner]], minlength=self._n_groups)
        return total


def _counts(ids: Ids, groups: int, alive: KeepMask) -> list[int]:
    """Return how many channels of each group are alive."""
    return [int(n) for n in _on(ids, alive).reshape(groups, -1).sum(1)]


def _parts(products: Sequence[_Product], n_groups: int) -> dict[int, list[tuple[int, int, int, int]]]:
    """Return for each set the places it is counted at: (product, 0 for inputs or 1 for outputs, group, channels)."""
    found: dict[int, list[tuple[int, int, int, int]]] = {}
    for which, product in enumerate(products):
        for side, ids in enumerate((product.inputs, product.outputs)):
            rows = ids.reshape(product.groups, -1)
            keys = (np.arange(product.groups)[:, None] * n_groups + rows)[rows >= 0]
            for key, count in zip(*np.unique(keys, return_counts=True), strict=True):
                group, chosen = divmod(int(key), n_groups)
                found.setdefault(chosen, []).append((which, side, group, int(count)))
    return found


def _on(ids: Ids, alive: KeepMask) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (ids < 0) | alive[np.maximum(ids, 0)]
    return result


def _total(p: _Product, alive: KeepMask) -> int:
    ins = _on(p.inputs, alive).reshape(p.groups, -1).sum(1)
    outs = _on(p.outputs, alive).reshape(p.groups, -1).sum(1)
    return int(p.unit * (ins * outs).sum())


def _count(ids: Ids, n_groups: int) -> NDArray[np.int64]:
    return np.bincount(ids[ids >= 0], minlength=n_groups)


def _product_macs(node: object) -> int:
    """Return the MACs of a matrix product of feature maps, by its shapes."""
    name = str(getattr(node, "target", ""))
    shapes = [n.meta["shape"] for n in node.all_input_nodes if "shape" in n.meta]  # type: ignore[attr-defined]
    shape = node.meta.get("shape", ())  # type: ignore[attr-defined]
    if any(f"aten.{op}." in name for op in ("matmul", "bmm", "mm")):
        return int(math.prod(shape) * shapes[0][-1])
    if "scaled_dot_product_attention" in name:
        return int(math.prod(shapes[0][:-1]) * shapes[1][-2] * (shapes[0][-1] + shape[-1]))
    return 0
