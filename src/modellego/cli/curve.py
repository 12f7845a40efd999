"""`modellego curve`: accuracy against MACs, at several budgets from one ranking."""

from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import out, percent, print_json, print_table, progress
from modellego.cli.files import check_picture, write_file
from modellego.cli.numbers import numbers


def curve(
    model: Annotated[str, typer.Argument(help="A source model or a brick's directory.")],
    *,
    images: o.Images,
    classes: o.Classes,
    points: Annotated[str, o.BUDGET(help="Shares of the source's MACs.")] = "1,0.9,0.8,0.7,0.6,0.5,0.4,0.3",
    criterion: o.Criterion = None,
    round_to: Annotated[int, o.BUDGET("--round", min=1, help="Keep channel counts that are multiples of this.")] = 1,
    refit: Annotated[bool, o.REFIT(help="Repair each cut by least squares, without training.")] = True,
    refit_images: o.RefitImages = 200,
    picture: o.Plot,
    source_options: o.SourceOptions,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Cut, refit and score a brick at several budgets, and show accuracy against MACs.

    Example: modellego curve lego-demo/resnet.brick --data digits --classes 7-9 --points 0.9,0.7 --plot curve.png
    """
    from modellego.cli.opening import open_brick, open_data, say_labels
    from modellego.curves import as_rows, plot_curve
    from modellego.curves import curve as measure
    from modellego.disassembly.targets import task_vocabulary
    from modellego.locate import meant

    criterion = meant(criterion, budgeted=True)
    check_picture(picture.plot, picture.force)
    shares = numbers("--points", points, 0, 1)
    data = open_data(images)
    opened = open_brick(model, source_options, data)
    known, task = task_vocabulary(opened, classes)
    say_labels(data, known, images.mapping, task)
    found = measure(
        opened,
        data,
        classes,
        points=shares,
        criterion=criterion,
        round_to=round_to,
        refit_images=refit_images if refit else 0,
        mapping=images.mapping,
        seed=seed,
        progress=progress,
    )
    if picture.plot is not None:
        write_file(picture.plot, lambda path: plot_curve(found, path, f"classes {classes}, {criterion}"))
    if answer.json:
        print_json({"path": model, "classes": classes, "criterion": criterion, "points": as_rows(found)})
        return
    rows = [[percent(p.macs), percent(p.parameters), percent(p.accuracy), percent(p.base_restricted)] for p in found]
    print_table(f"classes {classes}, {criterion}", ["MACs", "parameters", "accuracy", "base restricted"], rows)
    if picture.plot is not None:
        out().print(f"wrote {picture.plot}")
