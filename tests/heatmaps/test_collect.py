"""Heat maps of real layers: samples of one network input, against the contribution room."""

import numpy as np
import pytest
import torch

from modellego import zoo
from modellego.brick import Brick
from modellego.contribution.aggregate import aggregate
from modellego.contribution.allocate import allocate
from modellego.errors import LegoError
from modellego.heatmaps import heatmap
from modellego.heatmaps.collect import contributions, find_layer
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@pytest.fixture(scope="module")
def brick() -> Brick:
    torch.manual_seed(0)
    lenet = zoo.build("lenet5", 10, channels=1, input_size=28)
    return whole_brick(lenet, Preprocess(1, 28, 28), [str(digit) for digit in range(10)])


def test_each_sample_and_all_together(brick: Brick) -> None:
    network = brick.captured()
    node, layer = find_layer(network, "conv2")
    x = torch.rand(5, 1, 28, 28)
    with torch.no_grad():
        read = torch.max_pool2d(network.graph.get_submodule("conv1")(x).relu(), 2)
    whole, single = contributions(network, node, layer, [x[:3], x[3:]])
    np.testing.assert_allclose(whole, allocate(layer, aggregate(layer, read)), atol=1e-5)
    for row, sample in zip(single, read.split(1), strict=True):
        np.testing.assert_allclose(row, allocate(layer, aggregate(layer, sample)), atol=1e-5)


@pytest.mark.parametrize(("layer", "name", "channels"), [(-1, "fc3", 84), (0, "conv1", 1), ("fc1", "fc1", 400)])
def test_layers_are_found_by_name_and_place(brick: Brick, layer: str | int, name: str, channels: int) -> None:
    found = heatmap(brick, "digits", layer, "0,8", per_class=3)
    assert found.layer == name
    assert found.by_class.shape == (2, channels)
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.classes == ("0", "8")


@pytest.mark.parametrize("layer", ["conv9", 5, -6])
def test_a_layer_that_is_not_there_is_refused(brick: Brick, layer: str | int) -> None:
    with pytest.raises(LegoError, match="no layer"):
        find_layer(brick.captured(), layer)


def test_the_network_keeps_its_mode(brick: Brick) -> None:
    network = brick.captured()
    node, layer = find_layer(network, "fc1")
    network.graph.train()
    contributions(network, node, layer, [torch.rand(2, 1, 28, 28)])
    assert network.graph.training
    network.graph.eval()
