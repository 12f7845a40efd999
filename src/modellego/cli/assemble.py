"""`modellego assemble`: put bricks together to a new classifier."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress


def assemble(
    bricks: Annotated[list[Path], typer.Argument(help="Two or more bricks' directories.")],
    *,
    output: o.Output,
    layout: Annotated[
        str, typer.Option(help="parallel: any bricks side by side; padded: one block-diagonal network.")
    ] = "parallel",
    scale: Annotated[Literal["none", "logits", "layers"], typer.Option(help="Parameter scaling.")] = "none",
    calibrate: Annotated[
        str, typer.Option(help="Comparable heads: none, affine, head, or prior (no labels).")
    ] = "none",
    merge_equal_classes: Annotated[
        bool, typer.Option("--merge-equal-classes", help="Make classes of equal name one class.")
    ] = False,
    per_class: Annotated[int | None, typer.Option(min=1, help="Images per class for scaling and calibration.")] = None,
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="For --calibrate prior: image files or folders, all classes alike often.")
    ] = None,
    reject: o.RejectOptions,
    images: o.MaybeImages,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Put bricks together to one classifier that tells all their classes apart, without training."""
    from modellego.assembly import assemble as put_together
    from modellego.brick import check_target, load
    from modellego.cli.opening import open_maybe, open_unlabelled
    from modellego.data import match_labels
    from modellego.errors import DataError
    from modellego.evaluation import evaluate

    check_target(output.path, output.force)
    pieces = [load(path) for path in bricks]
    names = brick_names(bricks)
    data = open_maybe(images)
    given: dict[str, Any] = {} if per_class is None else {"per_class": per_class}
    made = put_together(
        pieces,
        layout=layout,
        scale=None if scale == "none" else scale,
        calibrate=o.nothing(calibrate),
        data=data,
        merge_equal_classes=merge_equal_classes,
        names=names,
        unlabelled=open_unlabelled(unlabelled) if unlabelled else None,
        reject=reject.share,
        reject_by=reject.reject_by,  # type: ignore[arg-type]
        seed=seed,
        progress=progress,
        **given,
    )
    found = None
    unscored = ""
    if data is not None and data.test is not None:
        try:
            match_labels(data.test.classes, made.classes, images.mapping)
        except DataError as error:  # equal names kept apart: the images cannot tell whose class they show
            unscored = f"Not scored: {error}."
        else:
            found = evaluate(made, data.test, mapping=images.mapping, progress=progress)
            measured = {"accuracy": found.scores.accuracy, "balanced_accuracy": found.scores.balanced_accuracy}
            made.info = made.info.changed(scores=made.info.scores | measured)
    made.save(output.path, output.force)
    spent = _spent(made)
    if answer.json:
        print_json(
            {
                "path": str(output.path),
                "classes": list(made.classes),
                "layout": layout,
                "scale": scale,
                "calibrate": calibrate,
                "accuracy": None if found is None else found.scores.accuracy,
                "balanced_accuracy": None if found is None else found.scores.balanced_accuracy,
                **spent,
                "notes": " ".join(filter(None, (made.info.notes, unscored))),
            }
        )
        return
    rows = [
        [name, str(len(p.classes)), percent(p.info.scores.get("brick_accuracy")), amount(_spent(p)["macs"])]
        for name, p in zip(names, pieces, strict=True)
    ]
    accuracy = None if found is None else found.scores.accuracy
    rows.append([output.path.name, str(len(made.classes)), percent(accuracy), amount(spent["macs"])])
    print_table(f"{len(pieces)} bricks, {layout}", ["model", "classes", "accuracy", "MACs"], rows)
    out().print(made.info.notes)
    if unscored:
        out().print(f"[yellow]{unscored}")
    out().print(
        f"wrote {output.path}.  Next: modellego predict {output.path} IMAGE · "
        f"modellego report {output.path} -o report.html"
    )


def _spent(piece: object) -> dict[str, int]:
    from modellego.evaluation import cost

    found = cost(piece)  # type: ignore[arg-type]
    return {"macs": found.macs, "parameters": found.parameters}


def brick_names(paths: list[Path]) -> list[str]:
    """Call each brick by its directory; equal ones are numbered."""
    names: list[str] = []
    for path in paths:
        stem = path.resolve().name.removesuffix(".brick") or "brick"
        names.append(stem if stem not in names else f"{stem}{len(names) + 1}")
    return names
