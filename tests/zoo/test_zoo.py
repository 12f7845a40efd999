"""The zoo's networks take every size, width and channel count, and bear the published tensor names."""

import contextlib
import sys

import pytest
import torch
from torch import nn

from modellego import zoo
from modellego.errors import LegoError


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("size", [8, 28, 32, (48, 40)])
def test_every_network_takes_every_size_and_channel_count(name: str, size: int | tuple[int, int]) -> None:
    model = zoo.build(name, 7, channels=2, input_size=size, width=0.1).eval()
    height, across = (size, size) if isinstance(size, int) else size
    assert model(torch.zeros(2, 2, height, across)).shape == (2, 7)


@pytest.mark.parametrize("name", zoo.names())
def test_width_multiplier_shrinks_the_parameters_by_about_its_square(name: str) -> None:
    with torch.device("meta"):
        whole, half = (parameters(zoo.build(name, 10, width=w)) for w in (1.0, 0.5))
    assert 0.2 < half / whole < 0.35


@pytest.mark.parametrize("name", zoo.names())
def test_tensor_names_do_not_depend_on_the_input_size(name: str) -> None:
    with torch.device("meta"):
        small, large = (zoo.build(name, 10, input_size=s) for s in (8, 64))
    assert list(small.state_dict()) == list(large.state_dict())


@pytest.mark.parametrize("name", zoo.names())
def test_gradients_reach_every_parameter(name: str) -> None:
    model = zoo.build(name, 3, input_size=8, width=0.1)
    model(torch.rand(2, 3, 8, 8)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(("name", "count"), [("resnet20", 272_474), ("resnet32", 466_906), ("resnet50", 23_520_842)])
def test_parameter_counts_of_the_literature(name: str, count: int) -> None:
    assert parameters(zoo.build(name, 10)) == count


def test_lenet5_has_the_classic_parameter_count() -> None:
    assert parameters(zoo.build("lenet5", 10, channels=1, input_size=32)) == 61_706


@pytest.mark.parametrize(("name", "layers"), [("vgg16", 16), ("vgg16_bn", 16), ("googlenet", 67)])
def test_depth(name: str, layers: int) -> None:
    model = zoo.build(name, 10, width=0.1)
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in model.modules()) == layers


def test_resnet50_imagenet_has_the_tensors_of_torchvision() -> None:
    if "torchvision" not in sys.modules:  # its wheel needs two schemas declared beside a CPU-only torch
        library = torch.library.Library("torchvision", "FRAGMENT")
        for op in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):
                library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    models = pytest.importorskip("torchvision.models", exc_type=Exception)
    with torch.device("meta"):
        theirs = models.resnet50(weights=None).state_dict()
        ours = zoo.build("resnet50_imagenet", 1000, input_size=224).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_an_unknown_name_is_refused_with_a_near_one() -> None:
    with pytest.raises(LegoError, match="did you mean googlenet"):
        zoo.build("googlnet", 10)


@pytest.mark.parametrize("wrong", [{"num_classes": 0}, {"channels": 0}, {"input_size": 4}, {"width": 0.0}])
def test_impossible_sizes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LegoError, match="needs at least"):
        zoo.build("lenet5", **{"num_classes": 10, **wrong})  # type: ignore[arg-type]
