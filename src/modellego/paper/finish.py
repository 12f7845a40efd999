"""The frame of a run: never over another run's record without being told, and all files written in the end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modellego.errors import LegoError, MissingExtraError
from modellego.paper.page import page
from modellego.paper.record import read
from modellego.paper.registry import Reproduction
from modellego.paper.run import Run


@dataclass(frozen=True)
class Finished:
    """What a run left: the record's document, the Markdown page, all files."""

    document: dict[str, Any]
    page: str
    files: tuple[Path, ...]


def starting(run: Run, force: bool = False) -> None:
    """Make the folder, and look at what an earlier run left there; `force` starts anew.

    Raises:
        LegoError: the record there is of other settings, or the folder is a file.
    """
    if run.out.exists() and not run.out.is_dir():
        raise LegoError(f"{run.out} is a file: name a folder with --out")
    run.out.mkdir(parents=True, exist_ok=True)
    if force:
        run.path.unlink(missing_ok=True)
        return
    found = read(run.path)
    if found and found.get("settings") != run.settings:
        theirs = found.get("settings", {})
        unlike = [k for k, v in run.settings.items() if theirs.get(k) != v]
        raise LegoError(
            f"{run.path} is of a run with another {unlike[0]} ({theirs.get(unlike[0])}): choose another folder with "
            "--out, or start anew with --force"
        )


def finish(reproduction: Reproduction, run: Run) -> Finished:
    """Write the record, draw the pictures where matplotlib is there, and write the page beside them."""
    run.record.write()
    document = run.record.document
    pictures: list[Path] = []
    if reproduction.plot is not None:
        try:
            pictures = reproduction.plot(document["rows"], run.out)
        except MissingExtraError as error:
            run.record.say(f"no pictures: {error}")
    text = page(reproduction, document, pictures)
    place = run.path.with_suffix(".md")
    place.write_text(text, encoding="utf-8")
    return Finished(document, text, (run.path, place, *pictures))
