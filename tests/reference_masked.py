"""The masked reference: the whole source network, its removed channels zeroed where they are read.

What a cut network must equal. A node in `channels.approximate` (a norm, mean or softmax over channels) is worked out
by its definition: on the channels that are left, gathered, with zeros put back in the place of the others.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from modellego.capture.network import Network
from modellego.capture.ops import op_name
from modellego.channels.channel_map import ChannelMap, Ids, KeepMask

_READS = ("matmul", "bmm", "scaled_dot_product", "sum.", "linalg_vector_norm", "norm.", "einsum")


class _Masked(fx.Interpreter):
    def __init__(self, network: Network, channels: ChannelMap, keep: KeepMask) -> None:
        super().__init__(network.graph)
        self.channels = channels
        self.kept = keep | ~channels.cuttable
        self.readers = {r.node: r for r in channels.readers}

    def run_node(self, n: fx.Node) -> Any:
        if n.name in self.channels.approximate:
            return self._by_definition(n)
        if n.op == "call_module" and n.name in self.readers:
            return self._reader(n)
        name = (op_name(n.target) or "").removeprefix("aten.") if n.op == "call_function" else ""
        if name.startswith(_READS):
            before = dict(self.env)
            for source in n.all_input_nodes:
                if isinstance(self.env[source], Tensor):
                    self.env[source] = self._mask(self.env[source], self.channels.ids.get(source.name))
            result = super().run_node(n)
            for source in n.all_input_nodes:
                self.env[source] = before[source]
            return result
        return super().run_node(n)

    def _reader(self, n: fx.Node) -> Tensor:
        x: Tensor = self.env[n.args[0]]
        layer: Any = self.module.get_submodule(str(n.target))
        alive = self._alive(self.readers[n.name].in_groups)
        shape = [1] * x.ndim
        shape[x.ndim - 1 - (layer.weight.ndim - 2)] = len(alive)
        return layer(x.where(torch.from_numpy(alive).reshape(shape), 0.0))

    def _alive(self, ids: Ids) -> Any:
        return (ids < 0) | self.kept[np.maximum(ids, 0)]

    def _mask(self, x: Tensor, ids: Ids | None) -> Tensor:
        if ids is None or not x.is_floating_point():
            return x
        alive = torch.from_numpy(self._alive(ids))
        if alive.ndim and alive.shape[0] > 1:  # heads folded into the batch axis
            alive = alive.repeat(x.shape[0] // alive.shape[0], *[1] * (x.ndim - 1))
        return x.where(alive, 0.0)  # not a product: what is removed may be 0 / 0

    def _lines(self, ids: Ids) -> dict[int, Tensor]:
        """Return the positions kept along every axis on which the ids vary."""
        found = {}
        for axis, size in enumerate(ids.shape):
            if size > 1:
                alive = np.moveaxis(self._alive(ids), axis, 0).reshape(size, -1).any(1)
                found[axis] = torch.from_numpy(np.flatnonzero(alive))
        return found

    def _by_definition(self, n: fx.Node) -> Tensor:
        source = n.args[0]
        assert isinstance(source, fx.Node)
        whole: Tensor = self.env[source]
        x = whole
        lines = self._lines(self.channels.ids[source.name])
        for axis, index in lines.items():
            x = x.index_select(axis, index)
        if n.op == "call_module":
            y = _norm(self.module.get_submodule(str(n.target)), x, lines)
        else:
            args = fx.node.map_arg(n.args, lambda m: x if m is source else self.env[m])
            kwargs = fx.node.map_arg(n.kwargs, lambda m: self.env[m])
            y = n.target(*args, **kwargs)
        for axis, index in self._lines(self.channels.ids[n.name]).items():
            shape = list(y.shape)
            shape[axis] = self.channels.ids[n.name].shape[axis]
            y = torch.zeros(shape, dtype=y.dtype).index_copy(axis, index, y)
        return y


def _norm(layer: nn.Module, x: Tensor, lines: dict[int, Tensor]) -> Tensor:
    """Normalise over the channels that are left, with their own weights."""
    if isinstance(layer, nn.GroupNorm):
        (index,) = lines.values()
        scale = [None if w is None else w[index] for w in (layer.weight, layer.bias)]
        return F.group_norm(x, layer.num_groups, scale[0], scale[1], layer.eps)
    if isinstance(layer, nn.LayerNorm):
        first = x.ndim - len(layer.normalized_shape)
        scale = [layer.weight, layer.bias]
        for axis, index in lines.items():
            scale = [None if w is None or axis < first else w.index_select(axis - first, index) for w in scale]
        return F.layer_norm(x, x.shape[first:], scale[0], scale[1], layer.eps)
    result = layer(x)  # a convolution along the channels
    assert isinstance(result, Tensor)
    return result


def masked_reference(
    network: Network, channels: ChannelMap, keep: KeepMask, logits: Sequence[int]
) -> Callable[[Tensor], Tensor]:
    """Return a function from a batch to the wanted logits of the masked source; `keep` as it was given to `cut`."""
    interpreter = _Masked(network, channels, keep)

    def run(x: Tensor) -> Tensor:
        with torch.no_grad():
            return interpreter.run(x)[:, list(logits)]

    return run


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every gain, bias, statistic and zero tensor a random value, so that no branch is silent; eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if not p.is_floating_point():
                continue
            if p.ndim <= 1 or p.abs().max() < 1e-3:
                low = 0.5 if p.ndim <= 1 and not name.endswith("bias") else -0.2
                p.copy_(torch.rand(p.shape, generator=generator) * (1.0 if low > 0 else 0.4) + low)
            elif name.endswith("weight") and p.std() > 0:  # so that the signal neither dies nor drowns in biases
                p.mul_((2 / p[0].numel()) ** 0.5 / p.std())
        for module in model.modules():
            mean = getattr(module, "running_mean", None)
            if isinstance(mean, Tensor):
                mean.copy_(torch.randn(mean.shape, generator=generator) * 0.1)
                module.running_var.copy_(torch.rand(mean.shape, generator=generator) + 0.5)  # type: ignore[union-attr,operator]
    return model.eval()


def random_keep(channels: ChannelMap, share: float, seed: int = 0) -> KeepMask:
    """Return a mask that keeps about this share of the cuttable sets, no tensor left empty."""
    from modellego.cut import rescue

    rng = np.random.default_rng(seed)
    scores = rng.random(channels.n_groups)
    return rescue(channels, (scores < share) | ~channels.cuttable, scores)[0]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest magnitude expected."""
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
