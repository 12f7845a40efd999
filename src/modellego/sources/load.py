"""Loads a source model by name."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from modellego.errors import SourceError
from modellego.preprocess import Preprocess
from modellego.sources.given import Numbers, Size, parse_numbers, parse_size, read_class_names
from modellego.sources.hub import distinct, from_hub
from modellego.sources.makers import Wishes, from_file, from_program, from_timm, from_torchvision, from_zoo
from modellego.sources.program import explain_file


@dataclass(frozen=True, eq=False)
class Source:
    """A trained classifier in eval mode, its preprocessing, and its class names where known.

    `normalised` says whether its mean and std were given or come with it; else they are 0 and 1. `licence` is that of
    its weights and `origin` where they come from, as far as the source's own configuration says.
    """

    model: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...] | None
    name: str
    normalised: bool = True
    licence: str | None = None
    origin: str | None = None


def load_source(
    spec: str,
    *,
    weights: str | os.PathLike[str] | None = None,
    input_size: Size | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    class_names: str | os.PathLike[str] | Sequence[str] | None = None,
    channels: int | None = None,
    num_classes: int | None = None,
    resize: str | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> Source:
    """Load `file.py:callable`, `program.pt2`, `zoo:NAME`, `torchvision:NAME`, `timm:NAME` or `hf:ID` as a `Source`.

    `torchvision:NAME@WEIGHTS` and `timm:NAME@TAG` pick one of several published weights; `hf:` takes a hub id or a
    folder of the same files, of transformers or timm. Size, mean, std, crop, interpolation and class names are those of
    the source's own configuration where nothing else is said.
    `weights` is a safetensors file or a torch state dict (never a pickled model); `random` leaves zoo,
    torchvision and timm networks untrained; without it the latter two come with their published weights.
    `input_size` is a side or (height, width) in pixels; `mean` and `std` refer to images in [0,1];
    `class_names` is a file (one per line, or a JSON list) or a list. Class and channel counts and the zoo's
    width are read off the weights where not given; what is still open is taken from `image_shape`
    (channels, height, width of the data: `ImageSet.common_shape`). Raises `SourceError`.

    >>> source = load_source("zoo:lenet5", weights="random", input_size=28, channels=1, class_names="a,b")
    >>> source.preprocess.height, source.classes, source.name
    (28, ('a', 'b'), 'lenet5')
    """
    kind, _, name = spec.partition(":")
    names = read_class_names(class_names) if class_names is not None else None
    count = num_classes if num_classes is not None else (len(names) if names else None)
    wishes = Wishes(weights, parse_size(input_size), channels, count, image_shape)
    makers = {"zoo": from_zoo, "torchvision": from_torchvision, "timm": from_timm, "hf": from_hub}
    if kind in makers:
        found = makers[kind](name, wishes)
        title = Path(name).name if kind == "hf" else name
    elif re.search(r"\.py:[^:/\\]+$", spec):
        file, _, name = spec.rpartition(":")
        found = from_file(Path(file).expanduser(), name, wishes)
        title = Path(file).stem if name in {"build", "model", "main", "get_model"} else name
    elif spec.lower().endswith(".pt2"):
        found = from_program(Path(spec).expanduser(), wishes)
        title = Path(spec).stem
    else:
        raise SourceError(
            explain_file(Path(spec))
            or f"{spec!r} names no model: write path/to/file.py:callable, program.pt2, zoo:NAME, torchvision:NAME, "
            f"timm:NAME, hf:ID, or the directory of a brick"
        )
    classes = names or (distinct(found.classes) if found.classes else None)
    if names and num_classes is not None and len(names) != num_classes:
        raise SourceError(f"{len(names)} class names are given for {num_classes} classes: give one for each")
    preprocess = Preprocess(
        channels or found.channels,
        *(wishes.size or found.size),
        parse_numbers(mean, "mean") or found.mean,
        parse_numbers(std, "std") or found.std,
        resize or found.resize,
        found.crop_share if resize is None else 1.0,
        found.interpolation,
    )
    known = found.normalised or (mean is not None and std is not None)
    return Source(found.model.eval(), preprocess, classes, title, known, found.licence, found.origin)
