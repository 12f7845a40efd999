"""`modellego curve`: accuracy against MACs, at several budgets from one ranking."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import out, percent, print_json, print_table, progress
from modellego.cli.files import check_picture, write_file
from modellego.cli.numbers import numbers


def curve(
    model: Annotated[str, typer.Argument(help="A source model or a brick's directory.")],
    data: o.DataOption,
    classes: Annotated[str, typer.Option(help="Classes of the task: 0-2,7 or names.")],
    points: Annotated[str, typer.Option(help="Shares of the source's MACs.")] = "1,0.9,0.8,0.7,0.6,0.5,0.4,0.3",
    criterion: Annotated[str, typer.Option(help="What ranks channels.")] = "contribution",
    round_to: Annotated[int, typer.Option("--round", min=1, help="Channel counts in multiples of this.")] = 1,
    refit: Annotated[bool, typer.Option(help="Repair each cut in closed form.")] = True,
    refit_images: Annotated[int, typer.Option(min=1, help="Images a class for the refit.")] = 200,
    plot: Annotated[Path | None, typer.Option(help="Draw the curve to this PNG or SVG file.")] = None,
    test_data: o.TestDataOption = None,
    weights: o.WeightsOption = None,
    input_size: o.InputSizeOption = None,
    channels: o.ChannelsOption = None,
    mean: o.MeanOption = None,
    std: o.StdOption = None,
    class_names: o.ClassNamesOption = None,
    logits: o.LogitsOption = None,
    seed: o.SeedOption = 0,
    force: o.ForceFlag = False,
    json: o.JsonFlag = False,
) -> None:
    """Cut, repair and score a brick at several budgets, and show accuracy against MACs."""
    from modellego.cli.opening import SourceOptions, open_brick, open_data
    from modellego.curves import as_rows, plot_curve
    from modellego.curves import curve as measure

    check_picture(plot, force)
    shares = numbers("--points", points, 0, 1)
    images = open_data(data, test_data)
    said = SourceOptions(weights, input_size, channels, mean, std, class_names, logits)
    opened = open_brick(model, said, images)
    found = measure(
        opened,
        images,
        classes,
        points=shares,
        criterion=criterion,
        round_to=round_to,
        refit_images=refit_images if refit else 0,
        seed=seed,
        progress=progress,
    )
    if plot is not None:
        write_file(plot, lambda path: plot_curve(found, path, f"classes {classes}, {criterion}"))
    if json:
        print_json({"path": model, "classes": classes, "criterion": criterion, "points": as_rows(found)})
        return
    rows = [[percent(p.macs), percent(p.parameters), percent(p.accuracy), percent(p.base_restricted)] for p in found]
    print_table(f"classes {classes}, {criterion}", ["MACs", "parameters", "accuracy", "base restricted"], rows)
    if plot is not None:
        out().print(f"wrote {plot}")
