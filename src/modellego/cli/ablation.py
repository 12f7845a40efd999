"""`modellego ablation`: bricks put together in every way, scored side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import out, percent, print_json, print_table, progress


def ablation(
    bricks: Annotated[list[Path], typer.Argument(help="Two or more bricks' directories.")],
    *,
    images: o.Images,
    merge_equal_classes: Annotated[
        bool, typer.Option("--merge-equal-classes", help="Join classes of the same name into one.")
    ] = False,
    per_class: Annotated[int | None, o.CALIBRATION(min=1, help="Images per class for scaling and calibration.")] = None,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Compare ways of assembling the same bricks: padding, both parameter scalings, both calibrations.

    Example: modellego ablation lego-demo/lenet.brick lego-demo/resnet.brick --data digits
    """
    from modellego.assembly.ablation import ablation as compare
    from modellego.assembly.class_names import brick_names
    from modellego.brick import load
    from modellego.cli.opening import open_data
    from modellego.cli.scoring import say_joined_labels

    pieces = [load(path) for path in bricks]
    names = brick_names(pieces)
    data = open_data(images)
    say_joined_labels(pieces, names, merge_equal_classes, data, images.mapping)
    given = {} if per_class is None else {"per_class": per_class}
    found = compare(
        pieces,
        data,
        names=names,
        mapping=images.mapping,
        merge_equal_classes=merge_equal_classes,
        **given,
        seed=seed,
        progress=progress,
    )
    if answer.json:
        print_json({"paths": [str(path) for path in bricks], "bricks": names, **asdict(found)})
        return
    rows = [
        ["base (the sources, all logits)", "–", percent(found.base), *("–" for _ in names)],
        ["base restricted", "–", percent(found.base_restricted), *("–" for _ in names)],
    ]
    for way in found.ways:
        shares = [percent(share) for share in way.by_brick] or ["–" for _ in names]
        said = "padding" if way.name == "padding" else f"padding + {way.name}"
        rows.append([said, percent(way.accuracy), percent(way.balanced), *shares])
    header = ["way", "accuracy", "class-balanced", *(f"on {name}" for name in names)]
    print_table(f"{len(pieces)} bricks, {found.images:,} test images", header, rows)
    for way in found.ways:
        if way.remark:
            out().print(f"{way.name}: {way.remark}", markup=False)
