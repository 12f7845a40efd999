"""Scaling: factors against the paper's formulas written out, and equal logits from both layouts."""

import pytest
import torch
from torch import Tensor, nn

from modellego.assembly import assemble, logit_factors, scale_layers
from modellego.brick import Brick
from modellego.capture import capture
from modellego.data import ImageSet
from modellego.errors import AssemblyError, DataError
from modellego.evaluation import logits_of
from tests.assembly.nets import NETS, random_brick, relative


def images_of(bricks: list[Brick], count: int = 6) -> ImageSet:
    classes = [c for b in bricks for c in b.classes]
    generator = torch.Generator().manual_seed(3)
    pixels = torch.rand(count * len(classes), 3, 6, 6, generator=generator)
    return ImageSet.from_tensor(pixels, [i % len(classes) for i in range(len(pixels))], classes)


def two(kind: str, **fields: object) -> list[Brick]:
    return [
        random_brick(kind, 4, 2, 0, prefix="a", **fields),
        random_brick(kind, 5, 3, 1, prefix="b", mean=0.3, **fields),
    ]  # type: ignore[arg-type]


# logits


def test_factor_is_one_over_the_mean_top_logit_of_correct_samples() -> None:
    logits = torch.tensor([[4.0, 1.0], [2.0, 1.0], [9.0, 1.0], [0.0, 5.0]])
    factors = logit_factors(logits, torch.tensor([0, 0, 1, 1]), ["x", "y"])
    assert torch.allclose(factors, torch.tensor([1 / 3, 1 / 5], dtype=torch.float64))


def test_a_class_never_right_takes_the_mean_factor_and_warns() -> None:
    logits = torch.tensor([[4.0, 1.0, 0.0], [0.0, 2.0, 1.0], [9.0, 1.0, 0.0]])
    with pytest.warns(UserWarning, match="no sample of z is predicted correctly"):
        factors = logit_factors(logits, torch.tensor([0, 1, 2]), ["x", "y", "z"])
    assert torch.allclose(factors, torch.tensor([0.25, 0.5, 0.375], dtype=torch.float64))


def test_negative_top_logits_do_not_turn_a_class_round() -> None:
    with pytest.warns(UserWarning, match="no sample of x"):
        factors = logit_factors(torch.tensor([[-1.0, -2.0], [0.0, 2.0]]), torch.tensor([0, 1]), ["x", "y"])
    assert (factors > 0).all()


@pytest.mark.filterwarnings("ignore:no sample of")
@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("scale", ["logits", "layers"])
def test_both_layouts_give_the_same_logits(kind: str, scale: str) -> None:
    bricks = two(kind, share=0.7, shuffled=True)
    data = images_of(bricks)
    padded, parallel = (assemble(bricks, layout=x, scale=scale, data=data) for x in ("padded", "parallel"))  # type: ignore[arg-type]
    assert relative(logits_of(padded, data), logits_of(parallel, data)) < 1e-10


@pytest.mark.filterwarnings("ignore:no sample of")
def test_logit_factors_are_folded_into_the_last_layer() -> None:
    bricks = two("plain")
    plain = assemble(bricks, layout="padded")
    scaled = assemble(bricks, layout="padded", scale="logits", data=images_of(bricks))
    assert len(scaled.network.graph.nodes) == len(plain.network.graph.nodes)


@pytest.mark.filterwarnings("ignore:no sample of")
def test_every_row_is_scaled_by_its_factor() -> None:
    bricks = two("plain")
    data = images_of(bricks)
    plain, scaled = assemble(bricks), assemble(bricks, scale="logits", data=data)
    ratios = logits_of(scaled, data) / logits_of(plain, data)
    assert torch.allclose(ratios, ratios[:1].expand_as(ratios))


class NoLinear(nn.Module):
    """Logits from a convolution: no last linear layer to fold into."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, classes, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


@pytest.mark.filterwarnings("ignore:no sample of")
def test_without_a_last_linear_layer_the_logits_are_multiplied() -> None:
    bricks = [
        Brick(capture(NoLinear(2), (3, 6, 6)).graph, b.info)
        for b in (random_brick("plain", 3, 2, s, prefix="ab"[s]) for s in (0, 1))
    ]
    data = images_of(bricks)
    padded, parallel = (assemble(bricks, layout=x, scale="logits", data=data) for x in ("padded", "parallel"))
    assert relative(logits_of(padded, data), logits_of(parallel, data)) < 1e-5


# layers


class Small(nn.Module):
    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x).mean((2, 3)))

    def maps(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


@pytest.mark.parametrize("norm", [True, False])
def test_maps_are_scaled_to_the_common_magnitude(norm: bool) -> None:
    torch.manual_seed(0)
    nets = [Small(w, norm).double().eval() for w in (3, 4)]
    inputs = [torch.rand(5, 1, 6, 6).double(), torch.rand(7, 1, 6, 6).double()]
    before = [net.maps(x).abs().sum((2, 3)).mean(0) for net, x in zip(nets, inputs, strict=True)]
    mean = torch.cat(before).mean()
    networks = [capture(net, (1, 6, 6)) for net in nets]
    scaled, report = scale_layers(networks, [x.split(2) for x in inputs], ["a", "b"])
    assert [layer.layer for layer in report] == ["conv"]
    for net, network, x, old, found in zip(nets, scaled, inputs, before, report[0].factors, strict=True):
        want = torch.where(old > 0, mean / old, 1.0)
        assert torch.allclose(found, want)
        changed = network.graph.get_submodule("norm" if norm else "conv")
        assert torch.allclose(
            changed.weight.flatten(1).sum(1) if not norm else changed.weight,
            (net.norm.weight if norm else net.conv.weight.flatten(1).sum(1)) * want,
        )
        after = network.graph.head.weight @ (net.maps(x) * want[:, None, None]).mean((2, 3)).T
        assert torch.allclose(network.graph(x), after.T + network.graph.head.bias)


def test_silent_channels_stay() -> None:
    nets = [Small(3, True).eval() for _ in range(2)]
    nets[0].norm.weight.data[1] = 0
    nets[0].norm.bias.data[1] = -1
    _, report = scale_layers([capture(n, (1, 6, 6)) for n in nets], [[torch.rand(4, 1, 6, 6)]] * 2, ["a", "b"])
    assert report[0].factors[0][1] == 1


def test_a_norm_without_weights_gets_them() -> None:
    nets = [Small(3, True).eval() for _ in range(2)]
    for net in nets:
        net.norm = nn.BatchNorm2d(3, affine=False).eval()
    scaled, report = scale_layers([capture(n, (1, 6, 6)) for n in nets], [[torch.rand(4, 1, 6, 6)]] * 2, ["a", "b"])
    assert torch.allclose(scaled[0].graph.get_submodule(report[0].scaled).weight.double(), report[0].factors[0])


def test_the_logits_layer_is_not_scaled() -> None:
    _, report = scale_layers(
        [random_brick("flat", 4, 2, s).captured() for s in (0, 1)], [[torch.rand(4, 3, 6, 6).double()]] * 2, ["a", "b"]
    )
    assert [layer.layer for layer in report] == ["layers.0", "layers.4"]


def test_a_layer_called_twice_is_scaled_once() -> None:
    _, report = scale_layers(
        [random_brick("grouped", 4, 2, s).captured() for s in (0, 1)],
        [[torch.rand(4, 3, 6, 6).double()]] * 2,
        ["a", "b"],
    )
    assert [(x.layer, x.scaled) for x in report] == [("stem.0", "stem.1"), ("groups", "groups"), ("groups", "norm")]


def test_the_change_is_told() -> None:
    bricks = two("plain")
    assert "this changes what the bricks compute" in assemble(bricks, scale="layers", data=images_of(bricks)).info.notes


def test_unlike_topologies_are_refused_before_images_are_read() -> None:
    bricks = [random_brick("plain", 4, 2, 0), random_brick("flat", 4, 2, 0, prefix="d")]
    with pytest.raises(AssemblyError, match="different topology"):
        assemble(bricks, scale="layers", data="nowhere")


def test_scaling_needs_data() -> None:
    with pytest.raises(AssemblyError, match="scale='logits' needs sample images"):
        assemble(two("plain"), scale="logits")


def test_a_class_without_images_is_named() -> None:
    bricks = two("plain")
    with pytest.raises(DataError, match="b0"):
        assemble(bricks, scale="logits", data=images_of(bricks[:1]))
