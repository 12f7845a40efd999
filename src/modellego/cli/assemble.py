"""`modellego assemble`: put bricks together to a new classifier."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress, remark
from modellego.cli.scoring import say_joined_labels, scored, spent


def assemble(
    bricks: Annotated[list[Path], typer.Argument(help="Two or more bricks' directories.")],
    *,
    output: o.Output,
    layout: Annotated[
        str, typer.Option(help="parallel: any bricks side by side; padded: one block-diagonal network.")
    ] = "parallel",
    scale: Annotated[Literal["none", "logits", "layers"], o.CALIBRATION(help="Parameter scaling.")] = "none",
    calibrate: Annotated[
        str, o.CALIBRATION(help="How heads are made comparable: none, affine, head, or prior (needs no labels).")
    ] = "none",
    merge_equal_classes: Annotated[
        bool, typer.Option("--merge-equal-classes", help="Join classes of the same name into one.")
    ] = False,
    allow_same: Annotated[bool, typer.Option("--allow-same", help="Join a brick with itself.")] = False,
    per_class: Annotated[int | None, o.CALIBRATION(min=1, help="Images per class for scaling and calibration.")] = None,
    unlabelled: Annotated[
        list[Path] | None,
        o.CALIBRATION(
            metavar="PATH",
            help="For --calibrate prior: image files or folders, with about as many images of every class.",
        ),
    ] = None,
    reject: o.RejectOptions,
    images: o.MaybeImages,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Put bricks together into one classifier of all their classes, without training.

    Example: modellego assemble lego-demo/lenet.brick few.brick --data digits --calibrate head -o new.brick
    """
    from modellego.assembly import assemble as put_together
    from modellego.assembly.class_names import brick_names
    from modellego.brick import check_target, load
    from modellego.cli.opening import open_maybe, open_unlabelled
    from modellego.distributed import rank

    if rank() == 0:
        check_target(output.path, output.force)
    pieces = [load(path) for path in bricks]
    names = brick_names(pieces)
    data = open_maybe(images)
    say_joined_labels(pieces, names, merge_equal_classes, data, images.mapping)
    given: dict[str, Any] = {} if per_class is None else {"per_class": per_class}
    made = put_together(
        pieces,
        layout=layout,
        scale=None if scale == "none" else scale,
        calibrate=o.nothing(calibrate),
        data=data,
        merge_equal_classes=merge_equal_classes,
        names=names,
        allow_same=allow_same,
        unlabelled=open_unlabelled(unlabelled) if unlabelled else None,
        reject=reject.share,
        reject_by=reject.reject_by,  # type: ignore[arg-type]
        mapping=images.mapping or None,
        seed=seed,
        progress=progress,
        **given,
    )
    found, unscored = scored(made, data, images.mapping)
    if rank() == 0:
        made.save(output.path, output.force)
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
                **spent(made),
                "notes": " ".join(filter(None, (made.info.notes, unscored))),
            }
        )
        return
    rows = [
        [name, str(len(p.classes)), percent(p.info.scores.get("brick_accuracy")), amount(spent(p)["macs"])]
        for name, p in zip(names, pieces, strict=True)
    ]
    accuracy = None if found is None else found.scores.accuracy
    rows.append([output.path.name, str(len(made.classes)), percent(accuracy), amount(spent(made)["macs"])])
    print_table(f"{len(pieces)} bricks, {layout}", ["model", "classes", "accuracy", "MACs"], rows)
    out().print(made.info.notes)
    if unscored:
        remark(unscored)
    out().print(
        f"wrote {output.path}.  Next: modellego predict {output.path} IMAGE · "
        f"modellego report {output.path} -o report.html"
    )
