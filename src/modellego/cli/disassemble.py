"""`modellego disassemble`: cut a brick for a few classes out of a classifier."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress, remark, warn
from modellego.cli.each_class import HEADER, as_json, row, write_each
from modellego.cli.files import bytes_on_disk, checkpoint_path
from modellego.drawing.words import counted


def disassemble(
    model: Annotated[
        str, typer.Argument(help="zoo:NAME, torchvision:NAME, timm:NAME, hf:ID, file.py:callable, or a brick.")
    ],
    *,
    images: o.MaybeImages,
    classes: o.MaybeClasses = None,
    output: o.Output,
    each_class: Annotated[
        bool, typer.Option("--each-class", help="Write a folder with one brick for each of the classes, or of all.")
    ] = False,
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
    candidates: o.Candidates = None,
    cache: o.Cache = True,
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
    resume: Annotated[bool, o.RUN("--resume", help="Go on from the checkpoint of an interrupted run.")] = False,
    seed: o.Seed = 0,
    passes: o.Passes,
    answer: o.Answer,
) -> None:
    """Cut a brick for some classes out of a classifier, and repair the cut without training.

    Example: modellego disassemble lego-demo/resnet.brick --data digits --classes 7-9 --macs 0.8 -o few.brick
    """
    from modellego.brick import check_target
    from modellego.brick.format.collection import check_folder
    from modellego.cli.opening import open_maybe, open_model, open_unlabelled, say_labels, unlabelled_data
    from modellego.contribution.relevance import Thresholds
    from modellego.data import Data, load_data
    from modellego.disassembly.job import as_brick
    from modellego.disassembly.options import CutKeywords, check_request
    from modellego.disassembly.own_labels import own_labels
    from modellego.disassembly.sampling import Samples
    from modellego.disassembly.targets import task_vocabulary
    from modellego.disassembly.verb import disassemble as take_apart
    from modellego.distributed import processes, rank
    from modellego.errors import LegoError
    from modellego.locate import Budget

    if not each_class and classes is None:
        raise LegoError("name the task with --classes, or make a brick of each class with --each-class")
    if (each_class or resume) and processes() > 1:
        raise LegoError("--each-class and --resume run in one process: start them without torchrun")
    if rank() == 0:
        (check_folder if each_class else check_target)(output.path, output.force)
    file = None if each_class or processes() > 1 else checkpoint_path(output, resume)
    budget = Budget(macs, parameters, latency, max_drop, round_to)
    thresholds = Thresholds(conv_alpha, conv_beta, linear_alpha, linear_beta, rule)  # type: ignore[arg-type]
    check_request(budget, criterion, reject.share, reject.reject_by, refit_by)
    if bool(unlabelled) == bool(images.data):
        raise LegoError("name either labelled images with --data, or others with --unlabelled (scored on --test-data)")
    asked: CutKeywords = {
        "budget": budget,
        "criterion": criterion,
        "thresholds": thresholds,
        "samples": Samples(samples, share, candidates, cache),
        "refit_images": refit_images if refit else 0,
        "refit_by": refit_by,
        "refit_data": open_unlabelled(refit_data) if refit_data and refit else None,
        "tune": tune,
        "reject": reject.share,
        "reject_by": reject.reject_by,  # type: ignore[typeddict-item]
        "seed": seed,
        "device": passes.device,
    }
    data = open_maybe(images)
    opened = open_model(model, source_options, data if data is not None else Data(unlabelled_data(unlabelled or [])))
    whole = as_brick(opened, None, None)
    wanted = list(range(len(whole.classes))) if classes is None else classes
    if data is None:
        shown = unlabelled_data(unlabelled or []).store
        told = own_labels(whole, shown, wanted, threshold=sure, least=least, progress=progress)
        warn(str(told))
        data = load_data(Data(told.images), images.test_data or None)
    known, task = task_vocabulary(whole, wanted)
    say_labels(data, known, images.mapping, task)
    if each_class:
        write_each(whole, data, classes, images.mapping, output, resume, answer, asked)
        return
    brick = take_apart(
        whole, data, wanted, mapping=images.mapping, checkpoint=file, resume=resume, progress=progress, **asked
    )
    if rank() == 0:
        brick.save(output.path, output.force)
    if answer.json:
        print_json(as_json(output.path, brick))
        return
    print_table(counted(len(brick.classes), "class", "classes"), HEADER, [[str(classes), *row(brick)]])
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
