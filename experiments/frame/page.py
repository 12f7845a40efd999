"""What a run says in the end: its pictures, and a Markdown page from its record alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.frame.record import read
from experiments.frame.registry import Document, Experiment, Rows
from experiments.frame.run import Run
from modellego.errors import LegoError, MissingExtraError

MEANINGFUL = 1000  # images per split


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
    theirs, ours = found.get("settings", {}), run.settings
    unlike = [k for k in {**ours, **theirs} if theirs.get(k) != ours.get(k)]
    if found and unlike:
        raise LegoError(
            f"{run.path} is of a run with another {unlike[0]} ({theirs.get(unlike[0])}): choose another folder with "
            "--out, or start over with --force"
        )


def finish(experiment: Experiment, run: Run) -> Finished:
    """Write the record, draw the pictures where matplotlib is there, and write the page beside them."""
    run.record.write()
    document = run.record.document
    pictures: list[Path] = []
    if experiment.plot is not None:
        try:
            pictures = experiment.plot(document["rows"], run.out)
        except MissingExtraError as error:
            run.record.say(f"no pictures: {error}")
    text = page(experiment, document, pictures)
    place = run.path.with_suffix(".md")
    place.write_text(text, encoding="utf-8")
    return Finished(document, text, (run.path, place, *pictures))


def reproduction(shows: str, differs: str, table: Callable[[Rows], str]) -> Callable[[Document], str]:
    """Return the section of what the paper shows, run again: what it shows, what differs here, and the table."""

    def section(document: Document) -> str:
        return "\n\n".join([f"**The paper** {shows}", f"**Here** {differs}", table(document["rows"])])

    return section


def origin(document: Document) -> str:
    """Say in one line how a record was made."""
    said = [f"{name} {value}" for name, value in document["settings"].items() if value is not None]
    parts = [", ".join(said), ", ".join(f"{name} {number}" for name, number in document.get("versions", {}).items())]
    parts += [f"threads: {document.get('threads', 'all')}"]
    parts += [f"{document['wall_seconds'] / 60:.0f} minutes in all"] if "wall_seconds" in document else []
    return f"`{document['command']}` ({'; '.join(p for p in parts if p)})."


def told(experiment: Experiment, document: Document) -> str:
    """Return what a record shows: what was left out, the experiment's own section, and how it was made."""
    said = quicker(document["settings"]) + ([document["note"]] if "note" in document else [])
    return "\n\n".join([*(f"**{s}**" for s in said), experiment.section(document), origin(document)])


def quicker(settings: dict[str, Any]) -> list[str]:
    """Say by how much a run was made quicker than the whole one.

    >>> quicker({"seed": 0, "scored": 4000})
    ['Scored on 4,000 test images of each data set, spread over its classes.']
    """
    said = []
    if limit := settings.get("limit"):
        mean = ": too few for the figures to mean anything" if limit < MEANINGFUL else ""
        said.append(f"Run on {limit:,} images per split, spread over all classes{mean}.")
    if scored := settings.get("scored"):
        said.append(f"Scored on {scored:,} test images of each data set, spread over its classes.")
    if candidates := settings.get("candidates"):
        said.append(f"Samples were chosen among {candidates} times as many training images, not among all.")
    return said


def page(experiment: Experiment, document: Document, pictures: Sequence[Path] = ()) -> str:
    """Return the whole Markdown page, pictures named by their file beside it."""
    shown = [f"![{p.stem}]({p.name})" for p in pictures if p.suffix == ".png"]
    linked = [f"[{p.name}]({p.name})" for p in pictures if p.suffix != ".png"]
    return "\n\n".join([f"# {experiment.title}", told(experiment, document), *shown, *linked]) + "\n"
