"""The costs of a mask are those of the network that the cut makes of it."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut, rescue
from modellego.evaluation import cost
from modellego.locate import CostModel
from modellego.zoo import build


class Grouped(nn.Module):
    """Depthwise and grouped convolutions, a norm, a flatten into a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False), nn.ReLU(),
            nn.Conv2d(12, 8, 3, stride=2, groups=4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


class Mixing(nn.Module):
    """A linear layer over positions, channel by channel, and a kernel that slides along the channels (ECA)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Linear(16, 16), nn.Linear(8, 5)
        self.slide = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.mix(self.stem(x).flatten(2)).relu().mean(2)
        return self.fc(x * self.slide(x[:, None])[:, 0].sigmoid())


class Attending(nn.Module):
    """Attention whose queries, keys and values all differ in number and width, by the fused op and by hand."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.stem, self.q, self.k, self.v = (nn.Conv2d(3, 8, 4, 4), *(nn.Linear(8, n) for n in (6, 6, 10)))
        self.head = nn.Linear(10, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        q, k, v = self.q(x[:, :7]), self.k(x), self.v(x)
        if self.fused:
            return self.head(nn.functional.scaled_dot_product_attention(q, k, v).mean(1))
        return self.head(((q @ k.transpose(1, 2)).softmax(-1) @ v).mean(1))


class Tokens(nn.Module):
    """Parameters that are in no layer: a class token, positions, and a scale by channel that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 17, 8))
        self.scale = nn.Parameter(torch.rand(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2) * self.scale
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.fc((x.relu() * self.scale).mean(1))


def networks() -> dict[str, nn.Module]:
    grouped = Grouped()
    grouped(torch.zeros(1, 3, 16, 16))
    return {
        "resnet20": build("resnet20", 5, width=0.5, input_size=16),
        "grouped": grouped,
        "mixing": Mixing(),
        "tokens": Tokens(),
    }


@pytest.mark.parametrize("task", [[1, 2, 4], [4, 0]])
@pytest.mark.parametrize("name", ["resnet20", "grouped", "mixing", "tokens"])
@pytest.mark.parametrize("seed", [0, 1])
def test_costs_equal_those_of_the_cut_network(name: str, seed: int, task: list[int]) -> None:
    network = capture(networks()[name].eval(), (3, 16, 16))
    channels = analyse(network)
    scores = np.random.default_rng(seed).random(channels.n_groups)
    keep, _ = rescue(channels, scores > 0.4, scores)
    small = cost(cut(plan_cut(network, channels, keep, task)))
    model = CostModel(network, channels, task)
    assert (model.macs(keep), model.parameters(keep)) == (small.macs, small.parameters)


@pytest.mark.parametrize("what", ["macs", "parameters"])
def test_saving_is_the_difference(what: str) -> None:
    network = capture(networks()["resnet20"].eval(), (3, 16, 16))
    channels = analyse(network)
    model = CostModel(network, channels, [0, 1])
    count = getattr(model, what)
    whole = channels.keep_all()
    saving = model.saving(whole, what)
    for s in np.flatnonzero(channels.cuttable)[::17]:
        without = whole.copy()
        without[s] = False
        if s not in (channels.logit_groups if channels.logit_groups is not None else []):
            assert count(whole) - count(without) == saving[s]


@pytest.mark.parametrize("name", ["resnet20", "grouped", "mixing"])
def test_costs_along_an_order_equal_those_of_each_mask(name: str) -> None:
    network = capture(networks()[name].eval(), (3, 16, 16))
    channels = analyse(network)
    model = CostModel(network, channels, [1, 2])
    order = np.random.default_rng(0).permutation(channels.n_groups)
    macs, parameters = model.along(order.tolist())
    keep = channels.keep_all()
    wanted = [(model.macs(keep), model.parameters(keep))]
    for chosen in order:
        keep[chosen] = False
        wanted.append((model.macs(keep), model.parameters(keep)))
    assert list(zip(macs, parameters, strict=True)) == wanted


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "by hand"])
def test_products_between_feature_maps_count_as_uncut(fused: bool) -> None:
    """7 queries of width 6 meet 16 keys, and the scores weigh values of width 10; no cut makes that cheaper."""
    network = capture(Attending(fused).eval(), (3, 16, 16))
    channels = analyse(network)
    model = CostModel(network, channels)
    layers = 16 * 8 * 3 * 16 + 7 * 8 * 6 + 16 * 8 * (6 + 10) + 10 * 5
    products = 7 * 16 * 6 + 7 * 16 * 10
    assert model.macs(channels.keep_all()) == layers + products == cost(network).macs
    nothing = np.zeros(channels.n_groups, dtype=bool)
    assert model.macs(nothing) >= products


def test_saving_in_sets_counts_each_as_one() -> None:
    network = capture(Mixing().eval(), (3, 16, 16))
    channels = analyse(network)
    assert CostModel(network, channels).saving(channels.keep_all(), "groups").tolist() == [1.0] * channels.n_groups
