"""Small bricks built by hand, so that these tests need no other room than the one they test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx, nn

from modellego.brick import Assembled, Brick, BrickInfo, Cut, Joint, Origin, assembled_info, load, save
from modellego.errors import FormatError
from modellego.preprocess import Preprocess

aten = torch.ops.aten
MakeBrick = Callable[..., Brick]


def _residual(channels: int, classes: int) -> fx.GraphModule:
    """Convolution, batch norm, a layer called twice, a tensor of no layer, dropout, pooling and a head."""
    root = nn.Module()
    root.add_module("stem", nn.Conv2d(channels, 6, 3, padding=1, bias=False))
    root.add_module("norm", nn.BatchNorm2d(6))
    root.add_module("block", nn.Module())
    root.block.add_module("0", nn.Conv2d(6, 6, 3, padding="same", groups=2))
    root.add_module("drop", nn.Dropout(0.5))
    root.add_module("head", nn.Linear(6, classes))
    root.gain = nn.Parameter(torch.rand(6, 1, 1))
    root.register_buffer("offset", torch.rand(6, 1, 1))
    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_module("norm", (graph.call_module("stem", (x,)),))
    y = graph.call_function(aten.mul.Tensor, (y, graph.get_attr("gain")))
    y = graph.call_function(aten.add.Tensor, (y, graph.get_attr("offset")))
    z = graph.call_function(aten.relu.default, (graph.call_module("block.0", (y,)),))
    z = graph.call_function(aten.add.Tensor, (graph.call_module("block.0", (z,)), y))
    z = graph.call_function(aten.mean.dim, (z, [-1, -2]), {"keepdim": False})
    z = graph.call_module("head", (graph.call_module("drop", (z,)),))
    graph.output(z)
    network = fx.GraphModule(root, graph)
    with torch.no_grad():  # statistics that are not those of a fresh layer
        network.norm.running_mean.uniform_(-1, 1)
        network.norm.running_var.uniform_(0.5, 2)
    return network


@pytest.fixture
def make_brick() -> MakeBrick:
    def make(
        classes: tuple[str, ...] = ("cat", "dog", "fox"),
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        channels: int = 3,
        size: int = 8,
        **fields: Any,
    ) -> Brick:
        torch.manual_seed(seed)
        columns = fields.pop("columns", len(classes))
        network = _residual(channels, columns).to(dtype)
        preprocess = Preprocess(channels, size, size, mean=(0.25,) * channels, std=(0.5,) * channels)
        info = BrickInfo(classes=classes, input_shape=(channels, size, size), preprocess=preprocess, **fields)
        return Brick(network, info)

    return make


@pytest.fixture
def full_brick(make_brick: MakeBrick) -> Brick:
    """A brick with every field of its info filled in."""
    return make_brick(
        sources=(Origin(name="resnet", classes=("cat", "dog", "fox"), of=(3, 5, 6), parameters=9, macs=99, total=10),),
        cut=Cut(criterion="thresholds", options={"alpha": 0.3, "layers": (1, 2)}, kept=8, total=12),
        refit={"images": 600, "ridge": 1e-3},
        scores={"brick_accuracy": 0.9375, "base_accuracy": None},
        reject={"threshold": 0.4, "statistic": "max_probability"},
        notes="A small one.\nTwo lines.",
    )


@pytest.fixture
def nested(make_brick: MakeBrick) -> Assembled:
    """(a + b) + c, with every step of the joint, unlike inputs, and features from one of the bricks."""
    torch.manual_seed(7)
    a, b = make_brick(("cat", "dog"), seed=1), make_brick(("dog", "car"), seed=2, channels=1, size=10)
    merged = Joint(scale=torch.rand(4), shift=torch.rand(4), merge=[[0], [1, 2], [3]])
    inner = Assembled([a, b], merged, assembled_info([a, b], ("cat", "dog", "car")))
    c = make_brick(("cup",), seed=3, outputs="features", columns=5)
    joint = Joint(linear=nn.Linear(8, 4))
    return Assembled([inner, c], joint, assembled_info([inner, c], ("cat", "dog", "car", "cup")))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(4, 3, 9, 11, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(make_brick: MakeBrick, tmp_path: Path) -> Path:
    """A small brick on disk."""
    return save(make_brick(), tmp_path / "brick")


@pytest.fixture
def refusal() -> Callable[[Path], str]:
    """Loads, expects a refusal, and gives its text: one line, of bearable length."""

    def refused(folder: Path) -> str:
        with pytest.raises(FormatError) as caught:
            load(folder)
        text = str(caught.value)
        assert "\n" not in text
        assert len(text) < 1000
        return text

    return refused
