"""Open what the command line names: a brick's directory, or a source model, captured whole."""

from collections.abc import Collection, Mapping
from pathlib import Path

from modellego.brick import Assembled, Brick, is_brick, load
from modellego.cli.console import note, progress, warn
from modellego.cli.options import Images, MaybeImages, SourceOptions, TrainImages
from modellego.data import Data, ImageSet, Vocabulary, image_files, load_data, match
from modellego.data.broken import skip_broken
from modellego.data.store import FileStore
from modellego.errors import LegoError
from modellego.sources.normalisation import note_normalisation
from modellego.sources.opened import open_source


def open_model(spec: str, options: SourceOptions, data: Data | None = None) -> Brick | Assembled:
    """Load a brick's directory, or capture a source model whole; what is not said is taken from the data.

    Raises:
        LegoError: the model cannot be found, loaded or captured; options that do not go with a brick.
    """
    if is_brick(spec) or (Path(spec).is_dir() and (Path(spec) / "brick.json").exists()):
        given = [k for k, v in vars(options).items() if v is not None]
        if given:
            name = given[0].replace("_", "-")
            raise LegoError(f"{spec} is a brick and knows its own --{name}: leave that option out")
        return load(spec)
    if Path(spec).is_dir():
        raise LegoError(f"{spec} is a directory but no brick: it holds no brick.json")
    opened = open_source(spec, {k: v for k, v in vars(options).items() if v is not None}, data)
    brick, tried, named_by_data = opened
    if named_by_data:  # nothing shows whether the model was trained on this order
        shown = ", ".join(f"{number} {name}" for number, name in enumerate(brick.classes[:10]))
        more = ", ..." if len(brick.classes) > 10 else ""
        note(f"{spec} names no classes: its logits are taken for the data's, in this order: {shown}{more}")
    if brick.info.notes:
        warn(brick.info.notes)
    note_normalisation(brick, tried)
    if tried is not None:
        warn(f"{tried.sentence} (--mean and --std)") if tried.clear else note(tried.sentence)
    return brick


def say_labels(
    data: Data, known: Vocabulary, mapping: Mapping[str, str | int], wanted: Collection[int] | None = None
) -> None:
    """Say which classes the data's labels mean, before work: on stderr; where all are equal names, on a terminal alone.

    `wanted` are the classes, by index, that are asked for; all by default.

    Raises:
        DataError: a label that fits two classes, or may mean one that is wanted; unknown names in the mapping.
    """
    found = match(data.classes, known, mapping)
    found.check(wanted)
    if (found.number >= 0).any():  # else the command says so
        (note if found.plain else warn)(f"labels: {found}")


def open_brick(spec: str, options: SourceOptions, data: Data | None = None) -> Brick:
    """Open a model of one network, as `open_model` does.

    Raises:
        LegoError: what `open_model` refuses, and an assembled model.
    """
    opened = open_model(spec, options, data)
    if not isinstance(opened, Brick):
        raise LegoError(f"{spec} is an assembled model: take one of the bricks it is made of")
    return opened


def open_data(images: Images | TrainImages) -> Data:
    """Read the data named on the command line."""
    return _readable(
        load_data(images.data, (images.test_data if isinstance(images, Images) else None) or None), images.max_bad
    )


def open_maybe(images: MaybeImages) -> Data | None:
    """Read the data named on the command line, where there are any."""
    return _readable(load_data(images.data, images.test_data or None), images.max_bad) if images.data else None


def _readable(data: Data, max_bad: int) -> Data:
    """Leave out what cannot be read, where that is allowed, and name it; else whoever reads an image refuses."""
    if not max_bad:
        return data
    data, left_out = skip_broken(data, max_bad, progress)
    for said in left_out:
        warn(f"left out: {said}")
    return data


def unlabelled_data(paths: list[Path]) -> ImageSet:
    """Name image files and folders of them as images of one class, which says nothing of what they show."""
    store = open_unlabelled(paths)
    return ImageSet.of(store, [0] * len(store), ["?"])


def open_unlabelled(paths: list[Path]) -> FileStore:
    """Name image files and folders of them, to be read when they are needed."""
    return FileStore(image_files(paths))
