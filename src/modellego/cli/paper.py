"""`modellego paper`: what the paper shows, run again, its figures beside the paper's."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import note, print_json, print_table, progress

if TYPE_CHECKING:
    from modellego.paper import Reproduction


def paper(
    name: Annotated[str | None, typer.Argument(help="A reproduction; see --list.")] = None,
    *,
    show: Annotated[bool, typer.Option("--list", help="Name the reproductions.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder with cifar10/, ..., models/; else $MODELLEGO_SHARED.")
    ] = None,
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for all that is written.")] = Path("paper"),
    network: Annotated[str | None, typer.Option(help="Source model, by its zoo name: vgg16, resnet50, ...")] = None,
    width: Annotated[float, typer.Option(help="Width of a source model trained here.")] = 1.0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of training a source model.")] = None,
    finetune: Annotated[int, typer.Option(min=0, help="Epochs of fine-tuning what is assembled (score 2).")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Images a split, to try it out.")] = None,
    candidates: Annotated[
        int | None, typer.Option(min=1, help="Choose samples among this many times as many images, not all.")
    ] = None,
    scored: Annotated[int | None, typer.Option(min=1, help="Test images of a set that are scored; else all.")] = None,
    force: o.Force = False,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Run one of the paper's experiments again; what was done is taken up, and the rest is worked out."""
    from modellego.errors import LegoError
    from modellego.paper import Run, find, reproductions
    from modellego.paper.finish import finish, starting

    if show or name is None:
        _list(reproductions(), answer.json, required=not show)
        return
    chosen = find(name)
    folder = data or (Path(os.environ["MODELLEGO_SHARED"]) if "MODELLEGO_SHARED" in os.environ else None)
    if folder is None:
        raise LegoError("name the folder with data sets and models: --data DIR, or set MODELLEGO_SHARED")
    run = Run(
        chosen.name,
        folder,
        output,
        seed,
        network,
        width,
        epochs,
        finetune,
        limit,
        candidates,
        scored,
        " ".join(["modellego", *sys.argv[1:]]),
        note,
        progress,
    )
    starting(run, force)
    chosen.run(run)
    found = finish(chosen, run)
    if answer.json:
        print_json(
            {"name": chosen.name, "path": str(run.path), "files": [str(p) for p in found.files], **found.document}
        )
        return
    typer.echo(found.page)
    typer.echo(f"wrote {', '.join(map(str, found.files))}")


def _list(known: "Mapping[str, Reproduction]", json: bool, required: bool) -> None:
    """Show all reproductions; without `--list` a name was wanted."""
    from modellego.errors import LegoError

    if required:
        raise LegoError(f"name a reproduction: {', '.join(known)}; modellego paper --list says what they are")
    rows = [[r.name, r.title] for r in known.values()]
    if json:
        print_json({"reproductions": [{"name": n, "title": t} for n, t in rows]})
        return
    print_table("modellego paper NAME", ["name", "what it shows"], rows)
