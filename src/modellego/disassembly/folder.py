"""A folder with one brick per class: what is finished waits beside it, and an interrupted run goes on from there."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

from modellego.brick import Brick, load
from modellego.brick.format.collection import brick_names, check_folder, place_folder
from modellego.data import Data, MappingLike
from modellego.disassembly.each import Classes, disassemble_each, each_class
from modellego.disassembly.identity import check_same, identify
from modellego.disassembly.options import CutKeywords, CutOptions
from modellego.errors import FormatError, LegoError
from modellego.progress import Progress, silent

_RUN = "run.json"  # which run a checkpoint is of; written last when it is made, removed first when it is taken away


def checkpoint_of(folder: str | Path) -> Path:
    """Return where finished bricks wait until all are there.

    >>> checkpoint_of("bricks").name
    'bricks.checkpoint'
    """
    return Path(folder).absolute().with_name(f"{Path(folder).absolute().name}.checkpoint")


def bricks_into(
    folder: str | Path,
    whole: Brick,
    data: Data,
    classes: Classes | None = None,
    *,
    force: bool = False,
    resume: bool = False,
    mapping: MappingLike | None = None,
    progress: Progress = silent,
    **options: Unpack[CutKeywords],
) -> Iterator[Brick]:
    """Cut a brick for each class as `disassemble_each` does, and write them to a new folder, which appears whole.

    Finished bricks wait in `FOLDER.checkpoint` beside it; where a run of the same model, data, options and versions was
    interrupted, `resume` takes them from there. `force` replaces a folder of bricks, or a checkpoint.

    Raises what `disassemble_each` raises, and leaves nothing behind then; `FormatError` where the folder is taken or
    cannot be written, or for a checkpoint that is missing or of another run.
    """
    target, work = check_folder(folder, force), checkpoint_of(folder)
    parts = each_class(whole, classes)
    names = brick_names(name for name, _ in parts)
    identity = identify(whole, data, parts, mapping, CutOptions(**options))
    finished: set[str] = set()
    if resume:
        check_same(work, identity, _read(work))
        finished = {name for name in names if (work / name).is_dir()}
    elif work.exists() and not force:
        raise FormatError(f"{work} is the checkpoint of an interrupted run: resume it, or start over by force")
    else:
        _begin(work, identity)
    left: list[str | int] = [
        spec for (_, specs), name in zip(parts, names, strict=True) if name not in finished for spec in specs
    ]
    bricks = disassemble_each(whole, data, left, mapping=mapping, progress=progress, **options) if left else iter(())
    try:
        for name in names:
            brick = _loaded(work / name) if name in finished else next(bricks)
            if name not in finished:
                brick.save(work / name)
            yield brick
        next(bricks, None)  # lets its progress end
        (work / _RUN).unlink()
        place_folder(work, target, force)
    except LegoError:
        _remove(work)
        raise


def _begin(work: Path, identity: dict[str, str]) -> None:
    if work.exists() and not (work / _RUN).is_file():
        raise FormatError(f"{work} is no checkpoint: it is not replaced; move it away first")
    _remove(work)
    try:
        work.mkdir()
        (work / _RUN).write_text(json.dumps(identity))
    except OSError as error:
        raise FormatError(f"the checkpoint {work} cannot be written: {error.strerror or error}") from error


def _read(work: Path) -> dict[str, Any]:
    try:
        found = json.loads((work / _RUN).read_text())
    except FileNotFoundError:
        raise FormatError(f"there is no checkpoint {work} to resume from: leave resume out to start over") from None
    except (OSError, ValueError) as error:
        raise FormatError(f"the checkpoint {work} cannot be read: start over without resume") from error
    return found if isinstance(found, dict) else {}


def _loaded(path: Path) -> Brick:
    found = load(path)
    if not isinstance(found, Brick):
        raise FormatError(f"{path} is an assembled model, and a brick was left there: start over without resume")
    return found


def _remove(work: Path) -> None:
    (work / _RUN).unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)
