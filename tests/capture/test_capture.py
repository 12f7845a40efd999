"""Capture keeps what a model computes and leaves the model alone; what it cannot take it refuses by name."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modellego.brick import Brick, BrickInfo, load, save
from modellego.capture import capture
from modellego.channels import add_rule, analyse, elementwise_rule, opaque_rule
from modellego.cut import cut, plan_cut
from modellego.errors import CaptureError

from ..cut.mechanisms import EXACT, Net, conv
from ..reference_masked import masked_reference, random_keep, randomise, relative_error

SHAPE = (3, 4, 4)


class Returns(nn.Module):
    """A classifier that wraps its logits up."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.features, self.fc, self.wrap = conv(3, 6), nn.Linear(6, 5), wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.fc(self.features(x).mean((2, 3))), x)


@pytest.mark.parametrize(
    ("wrap", "selector"),
    [
        (lambda y, x: {"logits": y, "image": x}, "logits"),
        (lambda y, x: (x, y), 1),
        (lambda y, x: (x, y), lambda found: found[1]),
    ],
)
def test_selector_picks_the_logits(wrap: Any, selector: Any) -> None:
    model = Returns(wrap).eval()
    with pytest.raises(CaptureError, match="the option logits"):
        capture(model, SHAPE)
    network = capture(model, SHAPE, logits=selector)
    assert "fc" in dict(network.graph.named_modules())
    images = torch.randn(2, *SHAPE)
    expected = model.fc(model.features(images).mean((2, 3)))
    torch.testing.assert_close(network.graph(images), expected)


def test_selector_that_picks_nothing_is_refused() -> None:
    with pytest.raises(CaptureError, match="does not pick anything"):
        capture(Returns(lambda y, x: {"logits": y}), SHAPE, logits="scores")


def test_head_of_a_convolution_is_refused_with_a_remedy() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 1))
    with pytest.raises(CaptureError, match=r"2-D logits.*logits="):
        capture(model, SHAPE)
    network = capture(model, SHAPE, logits=lambda y: y.mean((2, 3)))
    assert network.num_logits == 5


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x + y).mean((2, 3))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Branches(), "torch.where"),
        (TwoInputs(), "takes only the image"),
        (nn.Sequential(nn.Conv2d(1, 5, 1)), "does not run on an input of shape 3x4x4.*give the input size"),
    ],
)
def test_refusals_name_the_remedy(model: nn.Module, text: str) -> None:
    with pytest.raises(CaptureError, match=text):
        capture(model, SHAPE)


def test_op_from_outside_is_refused_by_name_then_ruled() -> None:
    @torch.library.custom_op("lego_test::swish2", mutates_args=())
    def swish2(x: Tensor) -> Tensor:
        return x * torch.sigmoid(2 * x)

    swish2.register_fake(torch.empty_like)
    model = Net(lambda m, x: m.b(torch.ops.lego_test.swish2(m.a(x))), a=conv(8, 8), b=conv(8, 8))
    with pytest.raises(CaptureError, match=r"lego_test.swish2.*add_rule"):
        capture(model, SHAPE)
    add_rule("lego_test.swish2.default", torch.ops.lego_test.swish2.default, elementwise_rule)
    network = capture(randomise(model).double(), SHAPE)
    channels = analyse(network)
    keep = random_keep(channels, 0.5)
    assert not keep.all()
    images = torch.randn(2, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        found = cut(plan_cut(network, channels, keep, [1, 0])).graph(images)
    assert relative_error(found, masked_reference(network, channels, keep, [1, 0])(images)) < 1e-10


class Untraceable(nn.Module):
    """Branches on its data, image by image, in numpy's hands."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([i if float(i.sum()) > 0 else 0.5 * i for i in x])


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.odd, self.b, self.fc = conv(3, 6), Untraceable(), conv(6, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.b(self.odd(self.a(x) - 0.3)).mean((2, 3)))
        return y


@pytest.mark.parametrize("name", ["Untraceable", "odd"])
def test_module_that_cannot_be_traced_is_kept_as_a_leaf(name: str, tmp_path: Path) -> None:
    model = randomise(Scaled()).double()
    with pytest.raises(CaptureError, match="leaf="):
        capture(model, SHAPE)
    network = capture(model, SHAPE, leaf={name: elementwise_rule})
    assert "forward" not in vars(model.odd)
    channels = analyse(network)
    keep = random_keep(channels, 0.5)
    images = torch.randn(4, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(network.graph(images), model(images))
    small = cut(plan_cut(network, channels, keep, [1, 0]))
    assert small.graph.get_submodule("b.0").in_channels < 6
    save(Brick(small.graph, BrickInfo(classes=("b", "a"), input_shape=SHAPE)), tmp_path / "leaf.brick")
    torch.testing.assert_close(load(tmp_path / "leaf.brick")(images), small.graph(images))


def test_leaf_that_is_kept_whole() -> None:
    network = capture(Scaled(), SHAPE, leaf={"odd": opaque_rule})
    channels = analyse(network)
    assert not channels.cuttable[channels.layer_out["a.0"]].any()
    assert any("leaf.Untraceable.odd" in reason for reason in channels.pinned.values())


@pytest.mark.parametrize(("name", "text"), [("nobody", "names no module"), ("a", "has weights")])
def test_bad_leaf_is_refused(name: str, text: str) -> None:
    with pytest.raises(CaptureError, match=text):
        capture(Scaled(), SHAPE, leaf={name: elementwise_rule})


@pytest.mark.parametrize("name", ["residual", "in_place", "standardised"])
def test_source_is_left_as_it_was(name: str) -> None:
    model = EXACT[name]().train()
    model.stem[1].eval()
    modes = [m.training for m in model.modules()]
    before = copy.deepcopy(model.state_dict())
    network = capture(model, SHAPE)
    with torch.no_grad():
        for parameter in network.graph.parameters():
            parameter.zero_()
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())


def test_parameter_names_are_the_sources() -> None:
    model = EXACT["residual"]()
    network = capture(model, SHAPE)
    assert set(dict(network.graph.named_parameters())) == set(dict(model.named_parameters()))


class HalfNorm(nn.Module):
    """A group norm and a batch norm with a gain and no shift, as in PoolFormer."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(8))
        self.register_buffer("mean", torch.randn(8))
        self.register_buffer("var", torch.rand(8) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(F.group_norm(x, 2, self.gain, None), self.mean, self.var, self.gain)


def test_norm_without_a_shift() -> None:
    model = Net(lambda m, x: m.a(m.norm(x)), a=conv(8, 8), norm=HalfNorm()).double().eval()
    images = torch.randn(2, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(capture(model, SHAPE).graph(images), model(images))


def test_weight_standardised_convolutions_are_baked() -> None:
    network = capture(EXACT["standardised"](), SHAPE)
    assert type(network.graph.get_submodule("a")) is nn.Conv2d
    assert not any("std" in str(n.target) for n in network.graph.graph.nodes)


def test_shared_layer_stays_one_layer() -> None:
    network = capture(EXACT["shared_layer"](), SHAPE)
    calls = [n.target for n in network.graph.graph.nodes if n.op == "call_module" and n.target == "a.0"]
    assert len(calls) == 2


class AuxHead(nn.Module):
    """In training the model returns the logits of a second head, too."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.fc, self.aux = conv(3, 6), nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Any:
        y = self.features(x).mean((2, 3))
        return (self.fc(y), self.aux(y)) if self.training else self.fc(y)


def test_branches_of_training_are_gone() -> None:
    network = capture(AuxHead().train(), SHAPE)
    assert "aux" not in dict(network.graph.named_modules())


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.fc = conv(3, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.features(x)
        with torch.autocast("cpu", enabled=False):
            y = F.relu(y * 2)
        with torch.no_grad():
            y = y + 1
        y = self.fc(y.mean((2, 3)))
        assert isinstance(y, Tensor)
        return y


def test_regions_are_inlined() -> None:
    model = Autocast().eval()
    images = torch.randn(2, *SHAPE)
    torch.testing.assert_close(capture(model, SHAPE).graph(images), model(images))


def test_captured_graph_trains_like_the_source() -> None:
    model = EXACT["residual"]()
    graph = capture(model, SHAPE).graph.train()
    model.train()
    images = torch.randn(4, *SHAPE)
    torch.testing.assert_close(graph(images), model(images))
    torch.testing.assert_close(graph.get_submodule("stem.1").running_mean, model.stem[1].running_mean)
