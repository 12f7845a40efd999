"""What a reproduction says in the end: its Markdown page, from its record alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modellego.paper.registry import Reproduction

MEANINGFUL = 1000  # images a split


def origin(document: dict[str, Any]) -> str:
    """Say in one line how a record was made."""
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    settings = ", ".join(f"{name} {value}" for name, value in document["settings"].items() if value is not None)
    minutes = document["wall_seconds"] / 60
    said = f"{settings}; {versions}; threads: {document.get('threads', 'all')}; {minutes:.0f} minutes in all"
    return f"`{document['command']}` ({said})."


def section(reproduction: Reproduction, document: dict[str, Any]) -> str:
    """Return what a record shows: what the paper shows, what differs, how it was made, the table."""
    parts = [f"**The paper** {reproduction.shows}", f"**Here** {reproduction.differs}"]
    parts += [f"**{said}**" for said in quicker(document["settings"])]
    parts += [f"**{document['note']}**"] if "note" in document else []
    return "\n\n".join([*parts, reproduction.table(document["rows"]), origin(document)])


def quicker(settings: dict[str, Any]) -> list[str]:
    """Say by how much a run was made quicker than the whole one.

    >>> quicker({"seed": 0, "scored": 4000})
    ['Scored on 4,000 test images of each data set, spread over its classes.']
    """
    said = []
    if limit := settings.get("limit"):
        mean = ": too few for the figures to mean anything" if limit < MEANINGFUL else ""
        said.append(f"Run on {limit:,} images a split, spread over all classes{mean}.")
    if scored := settings.get("scored"):
        said.append(f"Scored on {scored:,} test images of each data set, spread over its classes.")
    if candidates := settings.get("candidates"):
        said.append(f"Samples were chosen among {candidates} times as many training images, not among all.")
    return said


def page(reproduction: Reproduction, document: dict[str, Any], pictures: Sequence[Path] = ()) -> str:
    """Return the whole Markdown page, pictures named by their file beside it."""
    shown = [f"![{p.stem}]({p.name})" for p in pictures if p.suffix == ".png"]
    linked = [f"[{p.name}]({p.name})" for p in pictures if p.suffix != ".png"]
    return "\n\n".join([f"# {reproduction.title}", section(reproduction, document), *shown, *linked]) + "\n"
