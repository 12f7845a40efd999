"""What the picture shows equals what the contribution room says, read by read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from modellego import zoo
from modellego.capture import Network, capture
from modellego.contribution.aggregate import aggregate
from modellego.contribution.allocate import allocate, pair_relevance
from modellego.decision_routes import RouteGraph, collect_routes, render_html, routes
from modellego.errors import DataError, LegoError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.fc = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.two(self.one(x).relu()).relu().mean((2, 3)))


@pytest.fixture
def small() -> tuple[Small, Network, torch.Tensor]:
    torch.manual_seed(0)
    model = Small().double()
    return model, capture(model.eval(), (2, 6, 6)), torch.rand(9, 2, 6, 6, dtype=torch.float64)


def collected(network: Network, x: torch.Tensor, edges: int = 1000) -> RouteGraph:
    return collect_routes(network, {"cat": (0, [x[:5]]), "dog": (2, [x[5:7], x[7:]])}, edges=edges)


def test_marks_are_the_soft_relative_contribution(small: tuple[Small, Network, torch.Tensor]) -> None:
    model, network, x = small
    graph = collected(network, x)
    assert [layer.name for layer in graph.layers] == ["input", "one", "two", "fc"]
    for number, part in enumerate((x[:5], x[5:])):
        with torch.no_grad():
            first = model.one(part).relu()
            second = model.two(first).relu().mean((2, 3))
        for index, (layer, read) in enumerate([(model.one, part), (model.two, first), (model.fc, second)]):
            expected = allocate(layer, aggregate(layer, read)).numpy()
            np.testing.assert_allclose(graph.layers[index].contribution[number], expected, atol=1e-9)


def test_a_class_owns_its_logit(small: tuple[Small, Network, torch.Tensor]) -> None:
    graph = collected(*small[1:])
    assert graph.layers[-1].contribution.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_edges_are_r_qp_times_the_relevance_of_both_ends(small: tuple[Small, Network, torch.Tensor]) -> None:
    model, network, x = small
    graph = collected(network, x)
    edges = next(e for e in graph.edges if e.via == "two")
    with torch.no_grad():
        first = model.one(x[:5]).relu()
    pairs = pair_relevance(model.two, aggregate(model.two, first)).numpy()
    source, target = (graph.layers[i].contribution[0] for i in (edges.source, edges.target))
    expected = pairs * source * target[:, None]
    expected /= expected.max()
    for (p, q), weight in zip(edges.pairs, edges.weights[:, 0], strict=True):
        np.testing.assert_allclose(weight, expected[q, p], atol=1e-9)


def test_few_edges_are_the_strongest(small: tuple[Small, Network, torch.Tensor]) -> None:
    network, x = small[1:]
    every, few = collected(network, x), collected(network, x, edges=3)
    for some, whole in zip(few.edges, every.edges, strict=True):
        assert (np.sort(some.weights, axis=0)[::-1][:3] >= np.sort(whole.weights, axis=0)[::-1][:3] - 1e-12).all()
        assert (some.weights > 0).sum(axis=0).max() <= 3


def test_a_logit_that_is_not_there_is_refused(small: tuple[Small, Network, torch.Tensor]) -> None:
    with pytest.raises(LegoError, match="class cat has no logit in this network, which gives 3"):
        collect_routes(small[1], {"cat": (3, [small[2]])})


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "googlenet", "resnet50"])
def test_zoo_networks_give_pages(name: str) -> None:
    torch.manual_seed(0)
    network = capture(zoo.build(name, 5, width=0.25).eval(), (3, 32, 32))
    x = torch.rand(4, 3, 32, 32)
    graph = collect_routes(network, {"cat": (1, [x[:2]]), "dog": (4, [x[2:]])})
    for layer in graph.layers[:-1]:
        if layer.channels > 2:
            assert layer.contribution.max(axis=1).min() > 0, layer.name
    assert render_html(graph)


def test_classes_without_images_are_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 11))
    brick = whole_brick(net, Preprocess(1, 8, 8), [*(str(digit) for digit in range(10)), "ten"])
    with pytest.raises(DataError, match="'ten' has no images"):
        routes(brick, "digits", "ten", mapping={"1": "1"})


def test_a_published_resnet_shares_early_layers_and_parts_in_late_ones(shared: Path) -> None:
    from safetensors.torch import load_file

    net = zoo.build("resnet20", 10)
    net.load_state_dict(load_file(shared / "models" / "cifar10_resnet20.safetensors"))
    preprocess = Preprocess(3, 32, 32, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (graph,) = routes(
        whole_brick(net, preprocess, names), str(shared / "data" / "cifar10"), "dog,automobile", per_class=10
    )
    both = {layer.name: (layer.contribution >= 0.2).all(axis=0).mean() for layer in graph.layers}
    assert both["layer1.1.conv1"] > 0.6
    assert both["layer3.2"] < 0.5
