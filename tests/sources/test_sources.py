"""Naming a source model, filling it with weights, and saying why that fails."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modellego import zoo
from modellego.data import load_data
from modellego.errors import MissingExtraError, SourceError
from modellego.preprocess import apply
from modellego.sources import load_source, parse_size, read_class_names, read_weights

Saver = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saver:
    """Writes the weights of an untrained zoo network."""

    def save(name: str, num_classes: int = 4, file: str = "w.safetensors", **options: object) -> Path:
        state = zoo.build(name, num_classes, **options).state_dict()  # type: ignore[arg-type]
        save_file(state, tmp_path / file)
        return tmp_path / file

    return save


@pytest.fixture
def code(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a Python file."""

    def write(text: str) -> Path:
        (tmp_path / "net.py").write_text("import torch\nfrom torch import nn\n" + text)
        return tmp_path / "net.py"

    return write


LINEAR = "def build():\n    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(108, 4))\n"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet20", {}),
        ("resnet20", {"width": 0.5, "channels": 1}),
        ("googlenet", {"width": 0.25}),
        ("resnet50", {"width": 0.125}),
        ("vgg16", {"width": 0.125, "input_size": 64}),
        ("vgg16_bn", {"width": 0.25}),
        ("lenet5", {"channels": 1, "input_size": 28}),
    ],
)
def test_classes_channels_width_and_size_are_read_off_the_weights(
    saved: Saver, name: str, options: dict[str, object]
) -> None:
    source = load_source(f"zoo:{name}", weights=saved(name, 7, **options))
    preprocess = source.preprocess
    assert preprocess.channels == options.get("channels", 3)
    image = torch.zeros(1, preprocess.channels, preprocess.height, preprocess.width)
    assert source.model(image).shape == (1, 7)


def test_the_weights_arrive_and_the_model_is_in_eval_mode(saved: Saver) -> None:
    file = saved("resnet20")
    source = load_source("zoo:resnet20", weights=file)
    wanted = read_weights(file)
    assert all(torch.equal(value, wanted[key]) for key, value in source.model.state_dict().items())
    assert not source.model.training


def test_the_size_of_the_data_serves_where_none_is_given(saved: Saver) -> None:
    source = load_source("zoo:resnet20", weights=saved("resnet20"), image_shape=(1, 48, 40))
    assert (source.preprocess.channels, source.preprocess.height, source.preprocess.width) == (3, 48, 40)


def test_what_is_given_wins(saved: Saver) -> None:
    source = load_source(
        "zoo:resnet20",
        weights=saved("resnet20"),
        input_size="24x20",
        mean="0.5",
        std=[0.1, 0.2, 0.3],
        class_names="a,b,c,d",
        resize="crop",
        image_shape=(3, 32, 32),
    )
    preprocess = source.preprocess
    assert (preprocess.height, preprocess.width, preprocess.resize) == (24, 20, "crop")
    assert (preprocess.mean, preprocess.std) == ((0.5, 0.5, 0.5), (0.1, 0.2, 0.3))
    assert source.classes == ("a", "b", "c", "d")


@pytest.mark.parametrize("wrap", ["state_dict", "model", None])
def test_torch_files_are_read_with_their_wrappings(tmp_path: Path, wrap: str | None) -> None:
    state = {f"module.{k}": v for k, v in zoo.build("resnet20", 4).state_dict().items()}
    torch.save({wrap: state, "epoch": 3} if wrap else state, tmp_path / "w.pt")
    assert load_source("zoo:resnet20", weights=tmp_path / "w.pt").preprocess.height == 32


def test_a_pickled_model_is_refused_without_running_it(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(SourceError, match=r"model\.pt holds no plain weights .*save the model's state_dict"):
        load_source("zoo:resnet20", weights=tmp_path / "model.pt")


def test_a_file_of_anything_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(SourceError, match="holds no plain weights"):
        load_source("zoo:resnet20", weights=tmp_path / "w.safetensors")


def test_a_missing_weights_file_is_named() -> None:
    with pytest.raises(SourceError, match=r"there is no weights file nothing\.pt"):
        load_source("zoo:resnet20", weights="nothing.pt")


def change(state: dict[str, torch.Tensor], key: str, value: torch.Tensor | None) -> dict[str, torch.Tensor]:
    return {k: v for k, v in {**state, key: value}.items() if v is not None}


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("bn1.weight", None, "bn1.weight is missing in the file"),
        ("head.bias", torch.zeros(2), "head.bias is not in the model"),
        ("bn1.weight", torch.zeros(5), "bn1.weight is 5 in the file and 16 in the model"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(
    tmp_path: Path, key: str, value: torch.Tensor | None, says: str
) -> None:
    state = zoo.build("resnet20", 4).state_dict()
    save_file(change(dict(state), key, value), tmp_path / "w.safetensors")
    with pytest.raises(SourceError, match=f"do not fit zoo:resnet20: {says}"):
        load_source("zoo:resnet20", weights=tmp_path / "w.safetensors")


def test_the_weights_of_another_network_do_not_fit(saved: Saver) -> None:
    with pytest.raises(SourceError, match=r"do not fit zoo:vgg16: .* is missing .* is not in the model"):
        load_source("zoo:vgg16", weights=saved("resnet20"))


def test_more_class_names_than_logits_do_not_fit(saved: Saver) -> None:
    with pytest.raises(SourceError, match=r"fc\.weight is 4x64 in the file and 2x64 in the model"):
        load_source("zoo:resnet20", weights=saved("resnet20"), class_names="a,b")


def test_a_zoo_network_needs_weights() -> None:
    with pytest.raises(SourceError, match="needs trained weights"):
        load_source("zoo:resnet20")


def test_an_unknown_zoo_network_is_refused() -> None:
    with pytest.raises(SourceError, match="did you mean googlenet"):
        load_source("zoo:googlnet", weights="random")


def test_a_callable_in_a_file(code: Callable[[str], Path]) -> None:
    source = load_source(f"{code(LINEAR)}:build", input_size=8)
    assert (source.preprocess.channels, source.preprocess.height, source.classes) == (2, 8, None)
    assert source.model(torch.zeros(1, 2, 8, 8)).shape == (1, 4)


def test_a_file_may_import_its_neighbours(code: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "lego_neighbour.py").write_text("WIDTH = 5\n")
    file = code("import lego_neighbour\ndef build():\n    return nn.Conv2d(3, lego_neighbour.WIDTH, 1)\n")
    before = list(sys.path)
    assert load_source(f"{file}:build", input_size=8).preprocess.channels == 3
    assert sys.path == before


def test_a_model_in_place_of_a_callable(code: Callable[[str], Path]) -> None:
    assert load_source(f"{code('model = nn.Conv2d(1, 2, 3)')}:model", input_size=8).preprocess.channels == 1


def test_a_callable_is_filled_with_weights(code: Callable[[str], Path], tmp_path: Path) -> None:
    torch.save({"weight": torch.full((2, 1, 3, 3), 7.0), "bias": torch.zeros(2)}, tmp_path / "w.pt")
    file = code("model = nn.Conv2d(1, 2, 3)")
    source = load_source(f"{file}:model", weights=tmp_path / "w.pt", input_size=8)
    assert source.model.get_parameter("weight").unique().item() == 7


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (LINEAR, "biuld", r"has no callable biuld: did you mean build\?"),
        ("build = 3", "build", "is int, not callable"),
        ("def build():\n    return 3", "build", r"gives int, not a torch\.nn\.Module"),
        ("def build():\n    raise KeyError('x')", "build", "build in .* raised KeyError: 'x'"),
        ("def build(size):\n    pass", "build", "raised TypeError: build.. missing 1 required"),
        ("import nothing_of_the_kind", "build", "raised ModuleNotFoundError"),
        ("def build(:", "build", "raised SyntaxError"),
        ("def build():\n    return nn.Linear(2, 2)", "build", "give input size and channels"),
    ],
)
def test_a_file_that_gives_no_model_is_explained(code: Callable[[str], Path], text: str, name: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        load_source(f"{code(text)}:{name}")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SourceError, match=r"there is no file nowhere/net\.py"):
        load_source("nowhere/net.py:build")


@pytest.mark.parametrize("spec", ["resnet20", "keras:resnet", ""])
def test_what_names_no_model_is_told_how(spec: str) -> None:
    with pytest.raises(SourceError, match=r"names no model: write path/to/file\.py:callable"):
        load_source(spec)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_libraries_are_extras(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"modellego.{package}"):
        load_source(f"{package}:resnet50", weights="random")


def test_a_broken_library_says_what_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text('raise RuntimeError("operator torchvision::nms gone")')
    for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SourceError, match=r"torchvision is installed but .*RuntimeError: operator torchvision::nms"):
        load_source("torchvision:resnet18", weights="random")


def test_weights_of_a_wrapped_model_fit(tmp_path: Path) -> None:
    net = nn.DataParallel(torch.compile(zoo.build("resnet20", 4)))  # type: ignore[arg-type]
    torch.save(net.state_dict(), tmp_path / "w.pt")
    assert "module._orig_mod.fc.weight" in net.state_dict()
    assert load_source("zoo:resnet20", weights=tmp_path / "w.pt").model(torch.zeros(1, 3, 32, 32)).shape == (1, 4)


def test_a_wrapped_model_of_a_file_is_filled(code: Callable[[str], Path], tmp_path: Path) -> None:
    torch.save({"weight": torch.full((2, 1, 3, 3), 7.0), "bias": torch.zeros(2)}, tmp_path / "w.pt")
    file = code("model = nn.DataParallel(nn.Conv2d(1, 2, 3))")
    source = load_source(f"{file}:model", weights=tmp_path / "w.pt", input_size=8)
    assert source.model.get_parameter("weight").unique().item() == 7


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "googlenet"])
def test_a_torchvision_network_is_fitted_to_its_weights(tmp_path: Path, name: str) -> None:
    from torchvision import models

    extra = {"init_weights": False} if name == "googlenet" else {}
    torch.save(models.get_model(name, weights=None, num_classes=6, **extra).state_dict(), tmp_path / "w.pt")
    source = load_source(f"torchvision:{name}", weights=tmp_path / "w.pt", input_size=64)
    assert source.model(torch.zeros(1, 3, 64, 64)).shape == (1, 6)
    assert (source.preprocess.resize, source.preprocess.mean[0]) == ("crop", pytest.approx(0.485))


@pytest.mark.usefixtures("torchvision")
def test_a_timm_network_is_fitted_to_its_weights(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("resnet18", num_classes=6, in_chans=1).state_dict(), tmp_path / "w.pt")
    source = load_source("timm:resnet18", weights=tmp_path / "w.pt", channels=1)
    assert source.model(torch.zeros(1, 1, 64, 64)).shape == (1, 6)
    assert (source.preprocess.height, len(source.preprocess.mean)) == (224, 1)


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_an_unknown_library_network_is_refused(package: str) -> None:
    pytest.importorskip(package)
    with pytest.raises(SourceError, match=r"did you mean .*resnet50"):
        load_source(f"{package}:resnet_50", weights="random")


@pytest.mark.parametrize("text", ["a, b", "a\nb\n", '["a", "b"]'])
def test_class_names_from_a_file_or_a_list(tmp_path: Path, text: str) -> None:
    if "," in text and not text.startswith("["):
        assert read_class_names(text) == ("a", "b")
        return
    (tmp_path / "names.txt").write_text(text)
    assert read_class_names(tmp_path / "names.txt") == ("a", "b")


def test_a_missing_file_of_class_names_is_named() -> None:
    with pytest.raises(SourceError, match=r"there is no file of class names names\.txt"):
        read_class_names("names.txt")


@pytest.mark.parametrize("size", ["big", "3x4x5", 0, "-3", []])
def test_a_size_that_is_none_is_refused(size: str | int | list[int]) -> None:
    with pytest.raises(SourceError, match="write 32, or 32x48"):
        parse_size(size)


def test_a_mean_that_is_no_number_is_refused() -> None:
    with pytest.raises(SourceError, match=r"mean '0\.5,x' is not a list of numbers"):
        load_source("zoo:resnet20", weights="random", mean="0.5,x")


NORMALISED = {
    "cifar10": ("0.4914,0.4822,0.4465", "0.2023,0.1994,0.2010"),
    "cifar100": ("0.5070,0.4865,0.4409", "0.2673,0.2564,0.2761"),
}
RIGHT = {  # of the first 500 test images, and of all 10,000 (as published)
    ("cifar10", "resnet20"): (464, 9260),
    ("cifar10", "resnet32"): (463, 9353),
    ("cifar100", "resnet20"): (336, 6883),
    ("cifar100", "resnet32"): (336, 7016),
}
FULL = bool(os.environ.get("MODELLEGO_FULL"))  # score on all test images: minutes


@pytest.mark.parametrize(("data", "network"), RIGHT)
def test_published_models_score_as_published(shared: Path, data: str, network: str) -> None:
    mean, std = NORMALISED[data]
    source = load_source(
        f"zoo:{network}", weights=shared / "models" / f"{data}_{network}.safetensors", mean=mean, std=std
    )
    test = load_data(shared / "data" / data).test
    assert test is not None
    right = 0
    with torch.inference_mode():
        for images, labels in (test if FULL else test.subset(slice(500))).batches(250):
            right += int((source.model(apply(source.preprocess, images)).argmax(1) == labels).sum())
    assert right == RIGHT[data, network][FULL]
