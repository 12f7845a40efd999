"""`modellego shelf`: the bricks in a folder."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import out, print_json, print_table, progress
from modellego.drawing.words import counted


def shelf(
    folder: Annotated[Path, typer.Argument(help="Where to look.")] = Path(),
    *,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Only bricks that know this class; repeatable.")
    ] = None,
    answer: o.Answer,
) -> None:
    """List the bricks in a folder: classes, sources, sizes, scores.

    Example: modellego shelf lego-demo --class 7
    """
    from modellego.listing import cells
    from modellego.listing import shelf as look

    found = look(folder, classes=classes or (), progress=progress)
    if answer.json:
        print_json({"path": str(folder), "bricks": [brick.as_json() for brick in found]})
        return
    if not found:
        out().print(f"no bricks in {folder}" + (f" know {', '.join(classes)}" if classes else ""))
        return
    header = ["brick", "classes", "from", "MACs", "on disk", "accuracy"]
    print_table(counted(len(found), "brick"), header, [cells(brick) for brick in found])
