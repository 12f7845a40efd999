"""The verb `shelf`: the bricks in a folder, at a glance."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modellego.brick import is_brick, load
from modellego.brick.summary import few, summarise
from modellego.drawing.cells import html_table
from modellego.drawing.words import count, share, size
from modellego.errors import FormatError, LegoError
from modellego.progress import Progress, silent

_DEEP = 4  # folders within folders


@dataclass(frozen=True)
class Listed:
    """A brick on the shelf; `scores` are fractions, `bytes` its directory's. `problem` says why it cannot be loaded."""

    path: str
    kind: str = ""
    classes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    macs: int | None = None
    parameters: int | None = None
    bytes: int = 0
    scores: dict[str, float] | None = None
    recipe: str | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


class Shelf(list[Listed]):
    """The bricks of a folder; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        header = ["brick", "classes", "from", "MACs", "on disk", "accuracy"]
        return html_table("Shelf", [cells(brick) for brick in self], header)


def shelf(
    folder: str | os.PathLike[str] = ".", *, classes: str | Sequence[str] = (), progress: Progress = silent
) -> Shelf:
    """List the bricks in a folder and the folders in it, four deep, by path; broken ones with what is wrong.

    Args:
        folder: where to look.
        classes: only bricks that know all of these, by name (upper and lower case alike).
        progress: follows the bricks, each of which is loaded.

    Raises:
        LegoError: there is no such folder.

    >>> shelf("nowhere")
    Traceback (most recent call last):
    modellego.errors.LegoError: there is no folder nowhere
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise LegoError(f"there is no folder {folder}")
    wanted = {name.casefold() for name in ([classes] if isinstance(classes, str) else classes)}
    found = sorted(_bricks(root, _DEEP))
    listed = Shelf()
    with progress("shelf", "bricks") as update:
        for done, path in enumerate(found, 1):
            brick = _listed(path)
            if wanted <= {name.casefold() for name in brick.classes}:
                listed.append(brick)
            update(done, len(found))
    return listed


def cells(brick: Listed) -> list[str]:
    """Return a brick as a row of a table: path, classes, sources, MACs, bytes, accuracy or what is wrong."""
    if brick.problem is not None:
        return [brick.path, brick.problem, "", "", size(brick.bytes), ""]
    accuracy = (brick.scores or {}).get("accuracy")
    told = f"{len(brick.classes)}: {few(brick.classes)}"
    right = "–" if accuracy is None else f"{share(accuracy)} %"
    return [brick.path, told, few(brick.sources, 3), count(brick.macs), size(brick.bytes), right]


def _bricks(folder: Path, deep: int) -> list[Path]:
    """Return the directories of bricks; a brick's own directory is not looked into, nor is what is hidden or linked."""
    if (folder / "brick.json").is_file():
        return [folder]
    if not deep:
        return []
    try:
        inner = [p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")]
    except OSError:
        return []
    return [brick for path in inner for brick in _bricks(path, deep - 1)]


def _listed(path: Path) -> Listed:
    held = sum(f.stat().st_size for f in path.iterdir() if f.is_file())
    try:
        if not is_brick(path):
            raise FormatError("it is no brick, or an incomplete one")
        model = load(path)
    except LegoError as error:
        return Listed(str(path), bytes=held, problem=str(error).removeprefix(f"{path}: "))
    found = summarise(model)
    made = model.info.recipe.step if model.info.recipe is not None else None
    return Listed(
        str(path), found.kind, found.classes, found.sources, found.macs, found.parameters, held, found.scores, made
    )
