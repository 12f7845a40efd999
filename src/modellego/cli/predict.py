"""`modellego predict`: image files in, class names and probabilities out."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import percent, print_json, print_table


def predict(
    model: Annotated[Path, typer.Argument(help="A brick's directory.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, typer.Option(help="How many classes to name.", min=1)] = 3,
    *,
    answer: o.Answer,
) -> None:
    """Name the classes of image files; with a reject rule, a brick may say "none of these"."""
    from modellego.brick import load
    from modellego.cli.opening import open_unlabelled
    from modellego.evaluation import predict as classify

    brick = load(model)
    store = open_unlabelled(images)
    found, files = classify(brick, store, top), store.paths
    if answer.json:
        rows = [
            {
                "file": str(file),
                "class": None if p.rejected else p.classes[0],
                "probability": p.probabilities[0],
                "rejected": p.rejected,
                "top": [{"class": c, "probability": v} for c, v in zip(p.classes, p.probabilities, strict=True)],
            }
            for file, p in zip(files, found, strict=True)
        ]
        print_json({"path": str(model), "predictions": rows})
        return
    table = []
    for file, p in zip(files, found, strict=True):
        names = ", ".join(f"{c} {percent(v)}" for c, v in zip(p.classes[1:], p.probabilities[1:], strict=True))
        table.append([str(file), "none of these" if p.rejected else p.classes[0], percent(p.probabilities[0]), names])
    print_table(f"{len(files)} images", ["image", "class", "probability", "next"], table)
