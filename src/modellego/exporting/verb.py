"""The verb `export`: a brick as a file that runs without this package, checked on images against the brick."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from torch import Tensor

from modellego.brick import Assembled, Brick
from modellego.data import DataLike, ImageSet, MappingLike, load_data
from modellego.data.feed import Inputs, framed
from modellego.errors import ExportError
from modellego.exporting.measure import Measured, Runner, accuracy_of, difference, seconds_of
from modellego.exporting.onnx_file import Session, need_onnx, write_int8, write_onnx
from modellego.exporting.program import open_program, write_program
from modellego.exporting.served import Served, as_tuple, example, image_shape, metadata
from modellego.preprocess import Frame
from modellego.progress import Progress, silent

Format = Literal["onnx", "pt2"]
ENDINGS = {"onnx": ".onnx", "pt2": ".pt2"}
TOLERANCE = 1e-4  # of the largest logit: what float32 kernels of two libraries may differ by
CHECKED = 64  # images that brick and file are compared on
CALIBRATION = 200  # images that int8 ranges are taken from


@dataclass(frozen=True)
class Exported:
    """What was written and how it compares.

    `difference` is the largest difference of a logit, over the largest logit, on `images` images (`real` or made up).
    `brick` measures the brick itself in PyTorch; `int8` is None unless it was asked for.
    """

    format: Format
    opset: int | None
    input_shape: tuple[int, int, int]
    images: int
    real: bool
    difference: float
    file: Measured
    brick: Measured
    int8: Measured | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def export(
    model: Brick | Assembled,
    path: str | os.PathLike[str],
    *,
    to: Format = "onnx",
    data: DataLike | None = None,
    mapping: MappingLike | None = None,
    image_size: tuple[int, int] | None = None,
    prepared: bool = False,
    int8: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> Exported:
    """Write a brick or an assembled model as ONNX or as a PyTorch exported program, and check the file on images.

    The file takes float32 images in [0,1], `[batch, c, h, w]` of one size, and gives `logits` `[batch, C]`. Where there
    is a reject rule it gives `none_of_these` too, bool `[batch]`. Class names, rule and input lie in its metadata.

    Args:
        model: what to export.
        path: the file; it must end in `.onnx` or `.pt2`.
        to: the format.
        data: images to check on (and to score on, and to take int8 ranges from); without, made-up ones are compared.
        mapping: data class name -> model class name or index, where names do not meet by themselves.
        image_size: height and width of the images it will be given; by default the model's own input size, and where
            bricks read images of different sizes that of the data, if their images have one.
        prepared: leave the preprocessing outside: the file takes what the network reads.
        int8: also write `NAME.int8.onnx`, quantised by ONNX Runtime.
        force: replace files that exist.
        progress: follows the steps.

    Raises:
        ExportError: it cannot be written, or does not compute what the brick does: then nothing is left behind.
        MissingExtraError: the extra `export` is not installed.

    >>> import torch
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> brick = whole_brick(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)), Preprocess(1, 8, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = export(brick, Path(folder) / "small.pt2", to="pt2")
    >>> done.difference < 1e-5, done.input_shape
    (True, (1, 8, 8))
    """
    target = Path(path)
    quantised = target.with_suffix(".int8.onnx")
    _check(target, quantised, to, int8, data, force)
    images = None if data is None else load_data(data)
    if image_size is None and len(model.frames) > 1 and images is not None and images.train.common_shape is not None:
        image_size = images.train.common_shape[1:]  # each brick brings these to its own size
    shape = image_shape(model, image_size, prepared)
    train, test = (images.train, images.test) if images is not None else (None, None)
    if isinstance(data, ImageSet):
        test = data  # images alone are scored as they are
    served = Served(model, prepared)
    give = _giver(model, shape, prepared)
    compared = example(shape, CHECKED) if train is None else give(_spread(train, CHECKED))
    told = metadata(model, prepared)
    opset: int | None = None
    scratch = tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-")
    with progress("export", "steps") as update, scratch as part:
        inner = Path(part) / target.name
        if to == "onnx":
            opset = write_onnx(served, compared[:2], inner, told)
            runner: Runner = Session(inner)
        else:
            write_program(served, compared[:2], inner, told)
            program = open_program(inner)
            runner = lambda x: as_tuple(program(x))  # noqa: E731
        update(1, 4)
        worst = difference(served, runner, compared)
        update(2, 4)
        if worst > TOLERANCE:
            raise ExportError(f"the file's logits differ from the brick's by {worst:.2g} of the largest: not written")
        known = None if test is None else test.for_model(model.vocabulary, mapping)
        plain: Runner = lambda x: as_tuple(served(x))  # noqa: E731
        weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
        one = compared[:1]
        brick = Measured("", weights, seconds_of(plain, one), accuracy_of(plain, known, give))
        file = Measured(str(target), inner.stat().st_size, seconds_of(runner, one), accuracy_of(runner, known, give))
        update(3, 4)
        small = None
        if int8 and train is not None:
            draft = Path(part) / quantised.name
            write_int8(inner, draft, list(give(_spread(train, CALIBRATION)).split(20)))  # type: ignore[no-untyped-call]
            run = Session(draft)
            small = Measured(str(quantised), draft.stat().st_size, seconds_of(run, one), accuracy_of(run, known, give))
            os.replace(draft, quantised)
        os.replace(inner, target)
        update(4, 4)
    return Exported(to, opset, shape, len(compared), data is not None, worst, file, brick, small)


def _check(target: Path, quantised: Path, to: str, int8: bool, data: object, force: bool) -> None:
    """Refuse what cannot be, before any work."""
    if to not in get_args(Format):
        raise ExportError(f"a brick is exported to {' or '.join(get_args(Format))}, not to {to}")
    if target.suffix != ENDINGS[to]:
        raise ExportError(f"{target} must end in {ENDINGS[to]}")
    if int8 and to != "onnx":
        raise ExportError("int8 is made by ONNX Runtime: export to onnx")
    if int8 and data is None:
        raise ExportError("int8 takes its ranges from images: give data")
    if not target.parent.is_dir():
        raise ExportError(f"the directory {target.parent} does not exist: make it first")
    for file in (target, *([quantised] if int8 else [])):
        if file.exists() and not force:
            raise ExportError(f"{file} exists: choose another name, or ask to replace it")
    if to == "onnx":
        need_onnx()


def _spread(images: ImageSet, count: int) -> ImageSet:
    """Return images spread evenly over a set, so that all classes are among them."""
    return images.subset(np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(np.int64)))


def _giver(model: Brick | Assembled, shape: tuple[int, int, int], prepared: bool) -> Callable[[ImageSet], Tensor]:
    """Return a function that reads images as the file takes them, float32 `[N, *shape]`."""
    first = next(part for part in model.modules() if isinstance(part, Brick))
    frame = Frame(shape, first.info.preprocess.resize if first.info.preprocess is not None else "squash")

    def give(images: ImageSet) -> Tensor:
        if prepared and isinstance(model, Brick):
            return Inputs(images, model.frame, model.prepare).tensor()
        return framed(images, [frame])[frame]

    return give
