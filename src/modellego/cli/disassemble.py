"""`modellego disassemble`: cut a brick for a few classes out of a classifier."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, counted, out, percent, print_json, print_table, progress, remark, warn
from modellego.cli.files import bytes_on_disk


def disassemble(
    model: Annotated[
        str, typer.Argument(help="zoo:NAME, torchvision:NAME, timm:NAME, hf:ID, file.py:callable, or a brick.")
    ],
    *,
    images: o.MaybeImages,
    classes: o.Classes,
    output: o.Output,
    macs: Annotated[float | None, o.BUDGET(help="Share of the source's MACs, such as 0.5.")] = None,
    parameters: Annotated[float | None, o.BUDGET(help="Share of the source's parameters.")] = None,
    latency: Annotated[float | None, o.BUDGET(help="Share of the source's latency, measured.")] = None,
    max_drop: Annotated[
        float | None,
        o.BUDGET(help="The smallest brick that loses at most this much accuracy (0.01 is one point)."),
    ] = None,
    round_to: Annotated[int, o.BUDGET("--round", min=1, help="Keep channel counts that are multiples of this.")] = 1,
    criterion: o.Criterion = None,
    conv_alpha: Annotated[float, o.THRESHOLDS(min=0, max=1, help="Threshold of kernels (alpha), convolutions.")] = 0.3,
    conv_beta: Annotated[float, o.THRESHOLDS(min=0, max=1, help="Threshold of channels (beta), convolutions.")] = 0.2,
    linear_alpha: Annotated[
        float, o.THRESHOLDS(min=0, max=1, help="Threshold of kernels (alpha), linear layers.")
    ] = 0.4,
    linear_beta: Annotated[float, o.THRESHOLDS(min=0, max=1, help="Channel threshold, linear layers.")] = 0.3,
    rule: Annotated[
        str,
        o.THRESHOLDS(help=o.RULE_HELP),
    ] = "poster",
    samples: o.MostConfident = 50,
    share: Annotated[
        float | None, o.SAMPLES(help="Sample images as a share of each class's images, at least 5.")
    ] = None,
    refit: Annotated[bool, o.REFIT(help="Repair the cut by least squares, without training.")] = True,
    refit_images: o.RefitImages = 200,
    refit_by: Annotated[str, o.REFIT(help="How to refit: least_squares, or a method from a plugin.")] = "least_squares",
    refit_data: Annotated[
        list[Path] | None,
        o.REFIT(metavar="PATH", help="Refit on these image files or folders instead; they need no labels."),
    ] = None,
    unlabelled: Annotated[
        list[Path] | None,
        o.SAMPLES(metavar="PATH", help="Instead of --data: image files or folders, which the model labels itself."),
    ] = None,
    sure: Annotated[
        float, o.SAMPLES(min=0, max=1, help="With --unlabelled: the probability that makes a prediction a label.")
    ] = 0.9,
    least: Annotated[int, o.SAMPLES(min=1, help="With --unlabelled: how many such images each class needs.")] = 10,
    tune: Annotated[
        int | None,
        o.REFIT(
            min=1,
            metavar="STEPS",
            help="After the refit, match the source's logits by gradient steps, such as 600: minutes, but no labels.",
        ),
    ] = None,
    reject: o.RejectOptions,
    source_options: o.SourceOptions,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Cut a brick for some classes out of a classifier, and repair the cut without training.

    Example: modellego disassemble lego-demo/resnet.brick --data digits --classes 7-9 --macs 0.8 -o few.brick
    """
    from modellego.brick import check_target
    from modellego.cli.opening import open_maybe, open_model, open_unlabelled, say_labels, unlabelled_data
    from modellego.contribution.relevance import Thresholds
    from modellego.data import Data, load_data
    from modellego.disassembly.choose import Samples
    from modellego.disassembly.job import as_brick
    from modellego.disassembly.own_labels import own_labels
    from modellego.disassembly.targets import task_vocabulary
    from modellego.disassembly.verb import check_request
    from modellego.disassembly.verb import disassemble as take_apart
    from modellego.errors import LegoError
    from modellego.locate import Budget

    check_target(output.path, output.force)
    budget = Budget(macs, parameters, latency, max_drop, round_to)
    thresholds = Thresholds(conv_alpha, conv_beta, linear_alpha, linear_beta, rule)  # type: ignore[arg-type]
    most_confident = Samples(samples, share)
    check_request(budget, criterion, reject.share, reject.reject_by, refit_by)
    if bool(unlabelled) == bool(images.data):
        raise LegoError("name either labelled images with --data, or others with --unlabelled (scored on --test-data)")
    data = open_maybe(images)
    opened = open_model(model, source_options, data if data is not None else Data(unlabelled_data(unlabelled or [])))
    if data is None:
        shown = unlabelled_data(unlabelled or []).store
        told = own_labels(as_brick(opened, None, None), shown, classes, threshold=sure, least=least, progress=progress)
        warn(str(told))
        data = load_data(Data(told.images), images.test_data or None)
    known, task = task_vocabulary(as_brick(opened, None, None), classes)
    say_labels(data, known, images.mapping, task)
    brick = take_apart(
        opened,
        data,
        classes,
        budget=budget,
        criterion=criterion,
        thresholds=thresholds,
        samples=most_confident,
        refit_images=refit_images if refit else 0,
        refit_by=refit_by,
        refit_data=open_unlabelled(refit_data) if refit_data and refit else None,
        tune=tune,
        reject=reject.share,
        reject_by=reject.reject_by,  # type: ignore[arg-type]
        mapping=images.mapping,
        seed=seed,
        progress=progress,
    )
    brick.save(output.path, output.force)
    scores = brick.info.scores
    assert brick.info.cut is not None
    if answer.json:
        refitted = None if brick.info.refit is None else {k: v for k, v in brick.info.refit.items() if k != "stages"}
        kept = {"kept_groups": brick.info.cut.kept, "groups": brick.info.cut.total, "refit": refitted}
        plain = {k: v if v is None or not k.startswith(("macs", "parameters")) else int(v) for k, v in scores.items()}
        print_json(
            {"path": str(output.path), "classes": list(brick.classes), **plain, **kept, "notes": brick.info.notes}
        )
        return
    row = [percent(scores[k]) for k in ("base_accuracy", "base_restricted_accuracy", "brick_accuracy")]
    for key in ("macs", "parameters"):
        before, after = scores[f"{key}_base"] or 1, scores[key] or 0
        row.append(f"{amount(before)} → {amount(after)} ({percent(after / before)})")
    header = ["task", "base", "restricted", "brick", "MACs", "parameters"]
    print_table(counted(len(brick.classes), "class", "classes"), header, [[classes, *row]])
    if tune and brick.info.refit is not None:
        remark(_tuning(brick.info.refit))
    if data.test is None:
        remark("There is no test data, so nothing was scored: name some with --test-data.")
    if brick.info.notes:
        remark(brick.info.notes)
    size = bytes_on_disk(output.path) or 0
    out().print(
        f"wrote {output.path} ({amount(size)}B).  Next: modellego predict {output.path} IMAGE · "
        f"modellego assemble {output.path} OTHER.brick -o NEW.brick"
    )


def _tuning(refit: dict[str, Any]) -> str:
    """Say what tuning did, from a brick's refit."""
    report = refit["tuning"]
    if not report["kept_steps"]:
        return "Tuning did not surely bring the brick closer to its source: it stays as refitted."
    same = [percent(report[when]["same"]) for when in ("before", "after")]
    how = f"{report['kept_steps']} steps without labels, rate {report['lr']:g}, batch norms {report['norms']}"
    return f"tuned: {how}; held-out images answered as the source does: {same[0]} before, {same[1]} after"
