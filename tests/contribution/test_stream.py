"""The pass over a network equals the literal contributions of each of its layers, class by class."""

import copy

import pytest
import torch
from torch import Tensor, fx, nn

from modellego.capture.network import Network, annotate
from modellego.contribution.aggregate import table
from modellego.contribution.stream import class_sums, reading_layers
from modellego.errors import DataError

from .reference import contribution_table


class Branching(nn.Module):
    """Equal windows on one tensor, a depthwise layer, a layer called twice, a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.left = nn.Conv2d(8, 4, 1)
        self.right = nn.Conv2d(8, 4, 1)
        self.depth = nn.Conv2d(8, 8, 3, groups=8)
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8 * 36, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.cat([self.left(x), self.right(x)], 1)
        x = self.twice(self.twice(x))
        x = self.depth(torch.relu(x))
        return self.head(self.drop(x.flatten(1)))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    model = Branching().double()
    return annotate(fx.symbolic_trace(model.train()), (3, 8, 8))


def inputs_of_layers(network: Network, x: Tensor) -> dict[str, Tensor]:
    """What each call of a layer reads, by an independent walk."""
    read: dict[str, Tensor] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            if n.op == "call_module":
                read[n.name] = self.env[n.args[0]]
            return super().run_node(n)

    Recorder(copy.deepcopy(network.graph).eval(), garbage_collect_values=False).run(x)
    return read


def test_every_reading_layer_equals_the_reference_for_every_class(network: Network) -> None:
    torch.manual_seed(1)
    images = {label: torch.randn(5, 3, 8, 8, dtype=torch.float64) for label in ("cat", "dog")}
    layers = reading_layers(network)
    found = dict(class_sums(network, [(label, x.split(2)) for label, x in images.items()]))
    assert list(found) == ["cat", "dog"]
    for label, x in images.items():
        read = inputs_of_layers(network, x)
        for node, layer in layers.items():
            expected = contribution_table(layer, read[node])
            error = (table(layer, found[label].layers[node]) - expected).abs().max() / expected.abs().max()
            assert error < 1e-10, (label, node)


def test_a_layer_called_twice_has_a_table_for_each_call_and_depthwise_none(network: Network) -> None:
    assert list(reading_layers(network)) == ["stem", "left", "right", "twice", "twice_1", "head"]


def test_halves_of_the_samples_add_up(network: Network) -> None:
    torch.manual_seed(1)
    x = torch.randn(6, 3, 8, 8, dtype=torch.float64)
    halves = dict(class_sums(network, [(0, [x[:2]]), (1, [x[2:]])]))
    ((_, whole),) = class_sums(network, [("all", [x])])
    both = halves[0] + halves[1]
    assert both.samples == whole.samples == 6
    for node, layer in reading_layers(network).items():
        assert torch.allclose(table(layer, both.layers[node]), table(layer, whole.layers[node]), rtol=1e-12)


def test_modes_come_back_and_nothing_stays_hooked(network: Network) -> None:
    network.graph.eval()
    network.graph.get_submodule("norm").train()
    modes = {name: part.training for name, part in network.graph.named_modules()}
    list(class_sums(network, [(0, [torch.randn(2, 3, 8, 8, dtype=torch.float64)])]))
    assert {name: part.training for name, part in network.graph.named_modules()} == modes
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.graph.modules())


def test_batch_norm_statistics_stay_as_they_are(network: Network) -> None:
    before = network.graph.get_submodule("norm").running_mean.clone()
    list(class_sums(network, [(0, [torch.randn(2, 3, 8, 8, dtype=torch.float64)])]))
    assert torch.equal(network.graph.get_submodule("norm").running_mean, before)


def test_a_class_without_samples_is_named(network: Network) -> None:
    with pytest.raises(DataError, match="class fox has no samples"):
        list(class_sums(network, [("fox", [])]))


def test_classes_are_streamed(network: Network) -> None:
    asked: list[int] = []

    def classes():
        for label in range(3):
            asked.append(label)
            yield label, [torch.randn(2, 3, 8, 8, dtype=torch.float64)]

    first = next(class_sums(network, classes()))
    assert first[0] == 0
    assert asked == [0]


def test_maps_sum_a_flattened_channel_before_rectifying(network: Network) -> None:
    torch.manual_seed(1)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    ((_, sums),) = class_sums(network, [(0, [x])], maps={"head": 36})
    head = network.graph.get_submodule("head")
    convolution = nn.Conv2d(8, 5, 6, dtype=torch.float64)
    convolution.weight = nn.Parameter(head.weight.detach().view(5, 8, 6, 6))
    expected = contribution_table(convolution, depth(network, x))
    found = table(head, sums.layers["head"])
    assert torch.allclose(found, expected, rtol=1e-10)


def depth(network: Network, x: Tensor) -> Tensor:
    """The feature map that the flatten takes apart."""
    return inputs_of_layers(network, x)["drop"].view(len(x), 8, 6, 6)
