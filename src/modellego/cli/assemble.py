"""`modellego assemble`: put bricks together to a new classifier."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress


def assemble(
    bricks: Annotated[list[Path], typer.Argument(help="Two or more bricks' directories.")],
    output: o.OutOption,
    layout: Annotated[
        str, typer.Option(help="parallel: any bricks side by side; padded: one block-diagonal network.")
    ] = "parallel",
    scale: Annotated[str, typer.Option(help="Parameter scaling: none, logits or layers.")] = "none",
    calibrate: Annotated[
        str, typer.Option(help="Comparable heads: none, affine, head, or prior (no labels).")
    ] = "none",
    merge_equal_classes: Annotated[
        bool, typer.Option("--merge-equal-classes", help="Make classes of equal name one class.")
    ] = False,
    per_class: Annotated[int | None, typer.Option(min=1, help="Images a class for scaling and calibration.")] = None,
    unlabelled: Annotated[
        list[Path] | None, typer.Option(help="For --calibrate prior: image files or folders, all classes alike often.")
    ] = None,
    reject: o.RejectFlag = False,
    reject_keep: o.RejectKeepOption = None,
    reject_by: o.RejectByOption = None,
    data: o.OptionalData = None,
    test_data: o.TestDataOption = None,
    map_labels: o.MapOption = None,
    seed: o.SeedOption = 0,
    force: o.ForceFlag = False,
    json: o.JsonFlag = False,
) -> None:
    """Put bricks together to one classifier that tells all their classes apart, without training."""
    from modellego.assembly import assemble as put_together
    from modellego.brick import check_target, load
    from modellego.cli.opening import open_data, open_unlabelled
    from modellego.data import match_labels, parse_mapping
    from modellego.errors import DataError, LegoError
    from modellego.evaluation import evaluate

    check_target(output, force)
    for option, value, known in (
        ("layout", layout, ("parallel", "padded")),
        ("scale", scale, ("none", "logits", "layers")),
        ("calibrate", calibrate, ("none", "affine", "head", "prior")),
    ):
        if value not in known:
            raise LegoError(f"--{option} is one of {', '.join(known)}, not {value}")
    if unlabelled and calibrate != "prior":
        raise LegoError(f"--unlabelled goes with --calibrate prior, not {calibrate}")
    if (scale != "none" or (calibrate != "none" and not unlabelled)) and not data:
        wanted = f"--scale {scale}" if scale != "none" else f"--calibrate {calibrate}"
        raise LegoError(f"{wanted} needs images of the bricks' classes: add --data")
    if reject and not data:
        raise LegoError("--reject needs images of the bricks' classes: add --data")
    rule_asked = o.reject_rule(reject, reject_keep, reject_by)
    pieces = [load(path) for path in bricks]
    names = brick_names(bricks)
    images = open_data(data, test_data) if data else None
    given: dict[str, Any] = {} if per_class is None else {"per_class": per_class}
    if calibrate != "none":
        given["calibrate"] = calibrate
    if unlabelled:
        given["unlabelled"] = open_unlabelled(unlabelled)
    made = put_together(
        pieces,
        layout=layout,  # type: ignore[arg-type]
        scale=scale,  # type: ignore[arg-type]
        data=images,
        merge_equal_classes=merge_equal_classes,
        names=names,
        **given,
        **rule_asked,
        seed=seed,
        progress=progress,
    )
    found = None
    unscored = ""
    if images is not None and images.test is not None:
        mapping = parse_mapping(map_labels or [])
        try:
            match_labels(images.test.classes, made.classes, mapping)
        except DataError as error:  # equal names kept apart: the images cannot tell whose class they show
            unscored = f"Not scored: {error}."
        else:
            with progress("score") as update:
                found = evaluate(made, images.test, mapping=mapping, update=update)
            measured = {"accuracy": found.scores.accuracy, "balanced_accuracy": found.scores.balanced_accuracy}
            made.info = made.info.changed(scores=made.info.scores | measured)
    made.save(output, force)
    spent = _spent(made)
    if json:
        print_json(
            {
                "path": str(output),
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
    rows.append([output.name, str(len(made.classes)), percent(accuracy), amount(spent["macs"])])
    print_table(f"{len(pieces)} bricks, {layout}", ["model", "classes", "accuracy", "MACs"], rows)
    out().print(made.info.notes)
    if unscored:
        out().print(f"[yellow]{unscored}")
    out().print(f"wrote {output}.  Next: modellego predict {output} IMAGE · modellego report {output} -o report.html")


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
