"""`modellego predict`: image files in, class names and probabilities out."""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modellego.cli import options as o
from modellego.cli.console import percent, print_json, print_table, progress, stderr
from modellego.cli.files import check_file, write_file
from modellego.cli.rows import ENDINGS, Row, row_of, write_csv, write_lines
from modellego.drawing.words import counted

if TYPE_CHECKING:
    from modellego.brick import Assembled, Brick

WRITERS = {"csv": write_csv, "jsonl": write_lines}


def predict(
    model: Annotated[Path, typer.Argument(help="A brick's directory.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, folders of them, or - for a list on stdin.")],
    top: Annotated[int, typer.Option(help="How many classes to name.", min=1)] = 3,
    batch_size: Annotated[int, typer.Option(help="Images read at once, at most.", min=1)] = 250,
    form: Annotated[
        Literal["table", "csv", "jsonl"], typer.Option("--format", help="What to print: a table, CSV or JSON lines.")
    ] = "table",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this .csv or .jsonl file instead.")] = None,
    force: o.Force = False,
    *,
    passes: o.Passes,
    answer: o.Answer,
) -> None:
    """Name the classes of image files; with a reject rule, a brick may say "none of these".

    Files that cannot be read are listed at the end, and the exit code is 1.

    Example: modellego predict new.brick photos/ --format csv
    """
    from modellego.brick import load
    from modellego.devices import find_device, place
    from modellego.errors import LegoError

    if out is not None:
        check_file(out, force, tuple(ENDINGS))
    if answer.json and (form != "table" or out is not None):
        raise LegoError("--json prints one object: leave --format and --out out, or take --format jsonl")
    files = _files(images)
    failed: list[tuple[Path, str]] = []
    brick = load(model)
    if passes.device != "auto":
        place(brick, find_device(passes.device))
    rows = _rows(brick, files, top, batch_size, failed)
    if out is not None:
        write_file(out, partial(_fill, rows=rows, form=ENDINGS[out.suffix.lower()], top=top))
    elif form != "table":
        WRITERS[form](sys.stdout, rows, top)
    elif answer.json:
        found = list(rows)  # which fills in what failed
        told = [{"file": str(file), "error": why} for file, why in failed]
        print_json({"path": str(model), "predictions": found, "failed": told})
    else:
        print_table(
            counted(len(files), "image"), ["image", "class", "probability", "next"], [_cells(row) for row in rows]
        )
    for _, why in failed:
        stderr.print(why, markup=False, highlight=False, soft_wrap=True)
    if failed:
        stderr.print(f"{len(failed)} of {len(files)} images could not be read.", soft_wrap=True)
        raise typer.Exit(1)


def _files(images: list[Path]) -> list[Path]:
    """List the files that are named, in folders and on stdin; those of a list need not be there."""
    from modellego.data import image_files

    def found(path: Path) -> list[Path]:
        if str(path) != "-":
            return image_files([path])
        listed = [Path(line.rstrip("\r\n")) for line in sys.stdin if line.strip()]
        return list(chain.from_iterable(image_files([p]) if p.is_dir() else [p] for p in listed))

    return list(chain.from_iterable(map(found, images)))


def _rows(
    brick: "Brick | Assembled", files: list[Path], top: int, batch_size: int, failed: list[tuple[Path, str]]
) -> Iterator[Row]:
    """Yield what the model says of each file, and keep apart what went wrong."""
    from modellego.data.store import FileStore
    from modellego.errors import DataError
    from modellego.evaluation import predict_each

    with progress("predict") as update:
        found = predict_each(brick, FileStore(files), top, batch_size)
        for done, (file, said) in enumerate(zip(files, found, strict=True), 1):
            update(done, len(files))
            if isinstance(said, DataError):
                failed.append((file, str(said)))
            else:
                yield row_of(file, said)


def _fill(path: Path, rows: Iterator[Row], form: str, top: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        WRITERS[form](file, rows, top)


def _cells(row: Row) -> list[str]:
    """Return a row of the table; "none of these" has no probability, and all classes stand behind it by name."""
    rejected = row["rejected"]
    others = row["top"] if rejected else row["top"][1:]
    names = ", ".join(f"{one['class']} {percent(one['probability'])}" for one in others)
    if rejected:
        return [row["file"], "none of these", "–", f"of its classes: {names}"]
    return [row["file"], row["class"] or "", percent(row["probability"]), names]
