"""`modellego thresholds`: accuracy, MACs and parameters as alpha and beta grow."""

from dataclasses import asdict
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import out, percent, print_json, print_table, progress
from modellego.cli.files import check_picture, write_file
from modellego.cli.numbers import numbers

NAMES = "conv_alpha,conv_beta,linear_alpha,linear_beta"


def thresholds(
    model: Annotated[str, typer.Argument(help="A source model or a brick's directory.")],
    *,
    images: o.Images,
    classes: o.Classes,
    vary: Annotated[
        str, o.THRESHOLDS(help="Which thresholds to vary, one at a time; the others stay as they are.")
    ] = NAMES,
    values: Annotated[str, o.THRESHOLDS(help="The values that each of them takes.")] = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.8",
    rule: Annotated[
        str,
        o.THRESHOLDS(help=o.RULE_HELP),
    ] = "poster",
    samples: o.MostConfident = 50,
    candidates: o.Candidates = None,
    cache: o.Cache = True,
    refit: Annotated[bool, o.REFIT(help="Repair each cut by least squares, without training.")] = False,
    refit_images: o.RefitImages = 200,
    picture: o.Plot,
    source_options: o.SourceOptions,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Cut at growing thresholds alpha and beta, and show accuracy, MACs and parameters.

    Example: modellego thresholds lego-demo/lenet.brick --data digits --classes 0-1 --vary conv_beta --values 0.1,0.3
    """
    from modellego.cli.opening import open_brick, open_data, say_labels
    from modellego.contribution.relevance import Thresholds
    from modellego.curves import plot_threshold_curves
    from modellego.curves import thresholds as measure
    from modellego.disassembly.sampling import Samples
    from modellego.disassembly.targets import task_vocabulary
    from modellego.errors import LegoError

    check_picture(picture.plot, picture.force)
    taken = numbers("--values", values, 0, 1)
    varied = [name.strip().replace("-", "_") for name in vary.split(",")]
    unknown = [name for name in varied if name not in NAMES.split(",")]
    if unknown:
        raise LegoError(f"--vary names some of {NAMES}, not {', '.join(unknown)}")
    around = Thresholds(rule=rule)  # type: ignore[arg-type]
    data = open_data(images)
    opened = open_brick(model, source_options, data)
    known, task = task_vocabulary(opened, classes)
    say_labels(data, known, images.mapping, task)
    found = measure(
        opened,
        data,
        classes,
        vary=varied,
        values=taken,
        around=around,
        refit_images=refit_images if refit else 0,
        samples=Samples(samples, candidates=candidates, cache=cache),
        mapping=images.mapping,
        seed=seed,
        progress=progress,
    )
    title = f"classes {classes}, {rule}" + (", refit" if refit else "")
    if picture.plot is not None:
        write_file(picture.plot, lambda path: plot_threshold_curves(found, path, title))
    if answer.json:
        print_json({"path": model, "classes": classes, "rule": rule, "refit": refit, **asdict(found)})
        return
    rows = [
        [p.threshold.replace("_", " "), f"{p.value:g}", percent(p.accuracy), percent(p.macs), percent(p.parameters)]
        for p in found.points
    ]
    title += f"; base {percent(found.base)}, restricted {percent(found.base_restricted)}"
    print_table(title, ["threshold", "value", "accuracy", "MACs", "parameters"], rows)
    if picture.plot is not None:
        out().print(f"wrote {picture.plot}")
