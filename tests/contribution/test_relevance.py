"""Relevance flows back to front as gradients do: a channel is relevant where a relevant reading depends on it."""

from functools import lru_cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from modellego import zoo
from modellego.capture import Network, capture
from modellego.channels import analyse
from modellego.contribution.aggregate import table
from modellego.contribution.flow import fit, flattened_maps, plan_flow
from modellego.contribution.relevance import (
    Relevance,
    Thresholds,
    group_scores,
    relevance,
    relevant_groups,
)
from modellego.contribution.stream import ClassSums, class_sums, reading_layers

from .reference import allocation


class Shuffled(nn.Module):
    """Split, shuffled, gated, depthwise, residual, concatenated, flattened: every way relevance can go."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.left = nn.Conv2d(6, 6, 1)
        self.right = nn.Conv2d(6, 6, 3, padding=1)
        self.depth = nn.Conv2d(12, 24, 3, groups=12)
        self.squeeze = nn.Conv2d(24, 4, 1)
        self.excite = nn.Conv2d(4, 24, 1)
        self.mix = nn.Conv2d(24, 24, 1, groups=2)
        self.norm = nn.BatchNorm2d(24)
        self.more = nn.Conv2d(24, 8, 3)
        self.head = nn.Linear(32 * 16, 5)
        self.last = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        a, b = x.chunk(2, 1)
        x = torch.cat([F.gelu(self.left(a)), self.right(b)], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        x = self.depth(x)
        x = x * torch.sigmoid(self.excite(F.gelu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        x = self.norm(x + self.mix(x))
        x = torch.cat([x[:, :, 1:-1, 1:-1], self.more(x)], 1)
        x = F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, ceil_mode=True)[:, :, :4, :4]
        return self.last(F.gelu(self.head(x.permute(0, 2, 3, 1).flatten(1))))


class Sequence(nn.Module):
    """Tokens and attention, its heads held by an axis of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 2, d // 2).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d)
        return self.head((x + self.out(mixed)).mean(1))


def prepared(model: nn.Module, shape: tuple[int, ...], samples: int = 12) -> tuple[Network, ClassSums, Tensor]:
    torch.manual_seed(3)
    network = capture(model.double().eval(), shape)
    x = torch.randn(samples, *shape, dtype=torch.float64)
    ((_, sums),) = class_sums(network, [(0, [x])], channel_map=analyse(network))
    return network, sums, x


@lru_cache
def named(name: str) -> tuple[Network, ClassSums, Tensor]:
    torch.manual_seed(0)
    model = Shuffled() if name == "shuffled" else zoo.build(name, 5, input_size=16, width=0.25)
    return prepared(model, (3, 12, 12) if name == "shuffled" else (3, 16, 16))


class Gradients(fx.Interpreter):
    """Cuts the graph at each reading layer, and asks which of its inputs the relevant readings depend on."""

    def __init__(self, network: Network, found: Relevance) -> None:
        super().__init__(network.graph, garbage_collect_values=False)
        self.found = found
        self.loss = torch.zeros((), dtype=torch.float64)
        self.leaves: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        if n.name not in self.found.inputs:
            return result
        read, layer = self.env[n.args[0]], self.submodules[n.target]
        axis = read.dim() - 1 if isinstance(layer, nn.Linear) else 1
        shape = [-1 if a == axis else 1 for a in range(read.dim())]
        flags = torch.from_numpy(self.found.inputs[n.name]).view(shape)
        self.loss = self.loss + (read * flags * torch.rand_like(read)).sum()
        self.leaves[n.name] = result.detach().requires_grad_()
        return self.leaves[n.name]


def by_gradients(network: Network, found: Relevance, x: Tensor, logit: int) -> dict[str, np.ndarray]:
    torch.manual_seed(5)
    walk = Gradients(network, found)
    logits = walk.run(x)
    (logits[:, logit].sum() + walk.loss).backward()
    expected = {}
    for name, leaf in walk.leaves.items():
        layer = reading_layers(network)[name]
        grad = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        axis = leaf.dim() - 1 if isinstance(layer, nn.Linear) else 1
        expected[name] = grad.abs().movedim(axis, 0).flatten(1).amax(1).numpy() > 0
    return expected


@pytest.mark.parametrize("rule", ["poster", "back_to_front"])
@pytest.mark.parametrize("name", ["shuffled", "resnet20", "googlenet"])
def test_outputs_are_relevant_where_relevant_readings_depend_on_them(name: str, rule: str) -> None:
    network, sums, x = named(name)
    channels = analyse(network)
    found = relevance(plan_flow(network, channels), channels, sums, 2, Thresholds(rule=rule, conv_beta=0.5))
    expected = by_gradients(network, found, x, 2)
    assert list(found.outputs) == list(reversed(reading_layers(network)))
    for node, flags in found.outputs.items():
        assert flags.tolist() == expected[node].tolist(), node
    assert any(not flags.all() for flags in found.outputs.values())


def test_attention_values_are_followed_and_what_is_compared_goes_by_heads() -> None:
    torch.manual_seed(0)
    network, sums, x = prepared(Sequence(), (3, 16, 16))
    channels = analyse(network)
    found = relevance(plan_flow(network, channels), channels, sums, 1, Thresholds(linear_beta=0.6))
    expected = by_gradients(network, found, x, 1)
    for node, flags in found.outputs.items():
        assert flags.tolist() == expected[node].tolist(), node


class Narrow(nn.Module):
    """Attention of one head, whose values have more features than what is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(5, 4), nn.Linear(5, 4), nn.Linear(5, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x)).mean(1))


class Windows(nn.Module):
    """Attention within windows, two heads of queries on the same keys and values; only the first head is read."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(5, 6), nn.Linear(5, 3), nn.Linear(5, 3)
        self.head = nn.Linear(6, 5)
        nn.init.zeros_(self.head.weight[:, 3:])

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).unflatten(-1, (2, 3)).transpose(2, 3)
        k, v = self.k(x)[:, :, None], self.v(x)[:, :, None]
        y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.head(y.transpose(2, 3).flatten(-2).mean((1, 2)))


@pytest.mark.parametrize(("model", "shape"), [(Narrow, (7, 5)), (Windows, (4, 7, 5))])
def test_attention_of_one_head_or_of_shared_keys_is_followed(model: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network, sums, x = prepared(model(), shape)
    channels = analyse(network)
    found = relevance(plan_flow(network, channels), channels, sums, 1, Thresholds(linear_beta=0.6))
    for node, flags in by_gradients(network, found, x, 1).items():
        assert found.outputs[node].tolist() == flags.tolist(), node
    assert any(not flags.all() for flags in found.outputs.values())


@pytest.mark.parametrize("pads", [(2, 1), (-2, 0), (0, -3), (1, -2)])
def test_zeros_beside_channels_and_channels_cropped_are_not_relevant(pads: tuple[int, int]) -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6 + sum(pads), 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.pad(torch.tanh(self.stem(x)), (0, 0, 0, 0, *pads)).mean((2, 3)))

    torch.manual_seed(0)
    network, sums, x = prepared(Padded(), (3, 6, 6))
    channels = analyse(network)
    found = relevance(plan_flow(network, channels), channels, sums, 1, Thresholds(linear_beta=0.6))
    (stem, _) = reading_layers(network)
    assert found.outputs[stem].tolist() == by_gradients(network, found, x, 1)[stem].tolist()
    assert 0 < found.outputs[stem].sum() < 6


def test_sequential_network_by_the_literal_formulas() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(96, 4))
    network, sums, _ = prepared(model, (3, 8, 8))
    channels = analyse(network)
    found = relevance(plan_flow(network, channels), channels, sums, 3, Thresholds(rule="back_to_front"))
    layers = reading_layers(network)
    first, second, head = layers
    relevant = torch.tensor([False, False, False, True])
    for node, features, alpha, beta in ((head, 16, 0.4, 0.3), (second, 1, 0.3, 0.2), (first, 1, 0.3, 0.2)):
        whole = table(layers[node], sums.layers[node])
        r_p = allocation(whole, 1, "back_to_front", alpha=alpha, relevant=relevant)
        assert np.allclose(found.allocation[node], r_p.numpy(), rtol=0, atol=1e-12)
        assert found.inputs[node].tolist() == (r_p >= beta).tolist()
        assert found.outputs[node].tolist() == relevant.tolist()
        relevant = (r_p >= beta).view(-1, features).any(1)  # a channel is as relevant as its most relevant feature


def test_sets_take_the_union_over_their_readers() -> None:
    torch.manual_seed(0)
    network, sums, _ = prepared(Shuffled(), (3, 12, 12))
    channels = analyse(network)
    found = relevance(plan_flow(network, channels), channels, sums, 0)
    keep, scores = relevant_groups(channels, found), group_scores(channels, found)
    for reading in channels.readers:
        for channel, in_group in enumerate(reading.in_groups):
            if in_group >= 0 and found.inputs[reading.node][channel]:
                assert keep[in_group]
            if in_group >= 0:
                assert scores[in_group] >= found.allocation[reading.node][channel]
    read = np.concatenate([reading.in_groups for reading in channels.readers])
    assert not keep[np.setdiff1d(np.arange(channels.n_groups), read)].any()


def test_thresholds_are_those_of_the_layer_s_kind() -> None:
    thresholds = Thresholds()
    assert thresholds.of(nn.Conv2d(1, 1, 1)) == (0.3, 0.2)
    assert thresholds.of(nn.Linear(1, 1)) == (0.4, 0.3)


def test_summed_maps_give_each_channel_of_a_flatten_one_value() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Flatten(), nn.Dropout(), nn.Linear(96, 4))
    network = capture(model.double(), (3, 6, 6))
    channels = analyse(network)
    flow = plan_flow(network, channels)
    maps = flattened_maps(flow)
    assert list(maps.values()) == [16]
    x = torch.randn(5, 3, 6, 6, dtype=torch.float64)
    ((_, sums),) = class_sums(network, [(0, [x])], channel_map=channels, maps=maps)
    found = relevance(flow, channels, sums, 0)
    (head,) = maps
    by_channel = found.allocation[head].reshape(6, 16)
    assert (by_channel == by_channel[:, :1]).all()


def test_an_unknown_logit_is_refused() -> None:
    network, sums, _ = prepared(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (3, 2, 2))
    channels = analyse(network)
    with pytest.raises(IndexError):
        relevance(plan_flow(network, channels), channels, sums, 3)


def test_fit_widens_and_narrows() -> None:
    flags = np.array([[[True], [False]]])
    assert fit(flags, (2, 1)).tolist() == [[True], [False]]
    assert fit(flags[0], (1, 2, 3)).tolist() == [[[True] * 3, [False] * 3]]
