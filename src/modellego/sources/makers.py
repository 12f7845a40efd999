"""One maker a kind of name: each builds the network, fills it, and says what its images go through."""

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from modellego import zoo
from modellego.capture.unwrap import unwrapped
from modellego.data.classes import near
from modellego.errors import LegoError, SourceError
from modellego.preprocess import INTERPOLATIONS
from modellego.sources.libraries import imported
from modellego.sources.program import read_program
from modellego.sources.weights import Shapes, fill, meta_shapes, misfit, read_weights, shapes_of

UNTRAINED = "random"  # as `weights`: leave the network untrained
USUAL_SIZES = ((32, 32), (28, 28), (64, 64), (224, 224))


@dataclass(frozen=True)
class Wishes:
    """What the caller said about the model; None where nothing was said."""

    weights: str | os.PathLike[str] | None
    size: tuple[int, int] | None
    channels: int | None
    num_classes: int | None
    image_shape: tuple[int, int, int] | None


@dataclass(frozen=True)
class Found:
    """A model and what its maker says of its input."""

    model: nn.Module
    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: str = "squash"
    classes: tuple[str, ...] | None = None
    crop_share: float = 1.0
    interpolation: str = "bilinear"
    normalised: bool = False  # mean and std are the model's own
    licence: str | None = None  # of its weights, as its own configuration says
    origin: str | None = None  # where its weights come from: an address, or `hf:` and a name


def _classes_in(shapes: Shapes, file: Shapes, count: int) -> int | None:
    """How many classes weights have, given the shapes of the same network with `count` of them."""
    heads = [k for k, shape in shapes.items() if k in file and shape[:1] == (count,) and file[k] != shape]
    return int(file[heads[-1]][0]) if heads else None


def from_zoo(name: str, wishes: Wishes) -> Found:
    """Build a zoo network as wide, and for as many channels and classes, as its weights are."""
    if name not in zoo.names():
        raise SourceError(f"the zoo has no network {name!r}{near(name, zoo.names())}")
    image = wishes.image_shape
    channels = wishes.channels or (image[0] if image else 3)
    size = wishes.size or (image[1:] if image else (32, 32))
    if wishes.weights == UNTRAINED:
        model = zoo.build(name, wishes.num_classes or 10, channels, size)
        return Found(model, channels, size)
    if wishes.weights is None:
        raise SourceError(f"zoo:{name} needs trained weights: name their file")
    state = read_weights(wishes.weights)
    file = shapes_of(state)
    odd = 7919  # a count that no inner layer has, so that the head is known by it
    shapes = meta_shapes(zoo.build, name, odd, 3, size)
    key = next(k for k, shape in shapes.items() if len(shape) == 4)
    width = 1.0
    if key in file and len(file[key]) == 4:
        channels = wishes.channels or int(file[key][1])
        width = file[key][0] / shapes[key][0]
    head = [k for k, shape in shapes.items() if shape[:1] == (odd,)][-1]
    inferred = int(file[head][0]) if head in file else None
    count = wishes.num_classes or inferred or 10
    sizes = [wishes.size] if wishes.size else [size, *USUAL_SIZES]
    fits = (s for s in sizes if not misfit(meta_shapes(zoo.build, name, count, channels, s, width), file))
    size = next(fits, size)
    model = zoo.build(name, count, channels, size, width)
    fill(model, state, wishes.weights, f"zoo:{name}")
    return Found(model, channels, size)


def from_file(file: Path, name: str, wishes: Wishes) -> Found:
    """Run a Python file and call one of its names; a model in place of the callable is taken as it is."""
    if not file.is_file():
        raise SourceError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(f"modellego_source_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.resolve().parent))  # the file may import its neighbours
    sys.modules[spec.name] = module  # dataclasses and pickling look modules up by name
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, name):
            raise SourceError(f"{file} has no callable {name}{near(name, _public(module))}")
        made = getattr(module, name)
        if not isinstance(made, nn.Module):
            if not callable(made):
                raise SourceError(f"{name} in {file} is {type(made).__name__}, not callable")
            made = made()
    except LegoError:
        raise
    except Exception as error:  # the user's own code
        reason = str(error).splitlines()[0] if str(error) else "no message"
        raise SourceError(f"{name} in {file} raised {type(error).__name__}: {reason}") from error
    finally:
        sys.path.remove(str(file.resolve().parent))
    if not isinstance(made, nn.Module):
        raise SourceError(f"{name} in {file} gives {type(made).__name__}, not a torch.nn.Module")
    made = unwrapped(made)
    if wishes.weights is not None and wishes.weights != UNTRAINED:
        fill(made, read_weights(wishes.weights), wishes.weights, f"{file}:{name}")
    image = wishes.image_shape
    stem = next((m for m in made.modules() if isinstance(m, nn.Conv2d)), None)
    channels = stem.in_channels if stem else (image[0] if image else None)
    size = wishes.size or (image[1:] if image else None)
    if size is None or (channels := wishes.channels or channels) is None:
        raise SourceError(f"the input of {file}:{name} is not known: give input size and channels")
    return Found(made, channels, size)


def from_program(file: Path, wishes: Wishes) -> Found:
    """Read a program that `torch.export.save` wrote: it holds its weights, and reads images of one size."""
    if wishes.weights is not None:
        raise SourceError(f"{file} holds its own weights: leave out {wishes.weights}")
    model, (channels, height, width) = read_program(file)
    for what, wish, own in (("size", wishes.size, (height, width)), ("channels", wishes.channels, channels)):
        if wish not in {None, own}:
            raise SourceError(f"{file} was exported for an input of {channels}x{height}x{width}: leave its {what} out")
    return Found(model, channels, (height, width))


def _public(module: object) -> list[str]:
    """The names a file defines itself and that can be called."""
    own = getattr(module, "__name__", None)
    return [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", None) == own]


def from_torchvision(name: str, wishes: Wishes) -> Found:
    """Build a torchvision classifier; without weights given, with the published ones and their names."""
    models = imported("torchvision").models
    name, _, tag = name.partition("@")
    known = models.list_models(module=models)
    if name not in known:
        raise SourceError(f"torchvision has no classifier {name!r}{near(name, known)}")
    enum = models.get_model_weights(name)
    if tag and tag not in enum.__members__:
        raise SourceError(f"torchvision:{name} has no weights {tag!r}{near(tag, list(enum.__members__))}")
    published = enum[tag] if tag else enum.DEFAULT
    transform = published.transforms()
    size = (transform.crop_size[0], transform.crop_size[0])
    found: dict[str, Any] = {
        "size": wishes.size or size,
        "mean": tuple(transform.mean),
        "std": tuple(transform.std),
        "crop_share": min(1.0, transform.crop_size[0] / transform.resize_size[0]),
        "interpolation": _interpolation(transform.interpolation.value),
        "normalised": True,
    }

    def make(count: int | None, *, weights: Any = None) -> nn.Module:
        extra = {"init_weights": False} if name in {"googlenet", "inception_v3"} and weights is None else {}
        classes = {} if count is None else {"num_classes": count}
        model: nn.Module = models.get_model(name, weights=weights, **classes, **extra)
        return model

    if wishes.weights is None:
        model = _fetched(lambda: make(None, weights=published), f"torchvision:{name}")
        categories = tuple(published.meta["categories"])
        return Found(model, 3, resize="crop", classes=categories, origin=published.url, **found)
    return Found(_filled(make, wishes, f"torchvision:{name}"), 3, resize="crop", **found)


def from_timm(name: str, wishes: Wishes) -> Found:
    """Build a timm classifier; without weights given, with the published ones and their names."""
    timm = imported("timm")
    name = name.replace("@", ".")  # timm's own way to name a tag
    if not timm.is_model(name.partition(".")[0]):
        raise SourceError(f"timm has no model {name!r}{near(name, timm.list_models())}")
    return timm_found(name, wishes)


def timm_found(name: str, wishes: Wishes) -> Found:
    """Build what timm finds under a name, a hub id (`hf-hub:`) or in a folder (`local-dir:`), by its own config."""
    timm = imported("timm")
    channels: dict[str, Any] = {"in_chans": wishes.channels} if wishes.channels else {}

    def make(count: int | None, *, pretrained: bool = False) -> nn.Module:
        options: dict[str, Any] = {} if count is None else {"num_classes": count}
        model: nn.Module = timm.create_model(name, pretrained=pretrained, **options, **channels)
        return model

    named = None
    says: dict[str, Any] = {}
    if wishes.weights is None:
        model = _fetched(lambda: make(wishes.num_classes, pretrained=True), f"timm:{name}")
        says = getattr(model, "pretrained_cfg", {})
        named = _imagenet_names(model)
    else:
        model = _filled(make, wishes, f"timm:{name}")
    config: dict[str, Any] = dict(getattr(model, "pretrained_cfg", {}))
    if wishes.weights is None and (own := config.get("label_names")):
        told = config.get("label_descriptions") or {}
        named = tuple(str(told.get(n, n)) for n in (own.values() if isinstance(own, dict) else own))
    count, *size = config.get("input_size", (3, 224, 224))
    mean, std = (tuple(config.get(key, usual)) for key, usual in (("mean", (0.0,)), ("std", (1.0,))))
    if wishes.channels not in {None, count}:  # the weights are folded to these channels, the numbers alike
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return Found(
        model,
        wishes.channels or count,
        wishes.size or (size[0], size[1]),
        mean,
        std,
        "squash" if config.get("crop_mode") == "squash" else "crop",
        named,
        min(1.0, float(config.get("crop_pct") or 1.0)),
        _interpolation(str(config.get("interpolation") or "bilinear")),
        normalised=True,
        licence=says.get("license") or None,
        origin=f"hf:{says['hf_hub_id']}" if says.get("hf_hub_id") else says.get("url") or None,
    )


def _interpolation(name: str) -> str:
    return name if name in INTERPOLATIONS else "bilinear"


def _imagenet_names(model: nn.Module) -> tuple[str, ...] | None:
    """The class names of a timm model trained on ImageNet, None for other models."""
    from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset(model)
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else None


def _filled(make: Callable[..., nn.Module], wishes: Wishes, name: str) -> nn.Module:
    """Build a library's network for the weights at hand (or untrained) and fill it."""
    assert wishes.weights is not None
    if wishes.weights == UNTRAINED:
        return make(wishes.num_classes)
    state = read_weights(wishes.weights)
    count = wishes.num_classes
    if count is None:
        usual = meta_shapes(make, None)
        count = _classes_in(usual, shapes_of(state), 1000)
    model = make(count)
    fill(model, state, wishes.weights, name)
    return model


def _fetched(make: Callable[[], nn.Module], name: str) -> nn.Module:
    try:
        return make()
    except Exception as error:  # network errors of every kind
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise SourceError(f"the weights of {name} cannot be fetched ({reason}): name a file that holds them") from error
