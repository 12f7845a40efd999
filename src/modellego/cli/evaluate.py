"""`modellego evaluate`: score a brick, an assembled model or a whole source model."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress, remark
from modellego.cli.files import bytes_on_disk
from modellego.drawing.words import counted


def evaluate(
    model: Annotated[str, typer.Argument(help="A brick's directory, or a source model: zoo:NAME, file.py:callable.")],
    *,
    images: o.Images,
    source: Annotated[
        str | None, typer.Option(help="The uncut source model, as a brick's directory: measures base accuracy again.")
    ] = None,
    latency: Annotated[
        int, typer.Option(min=0, help="Measure latency on batches of this many images; 0 for none.")
    ] = 32,
    runs: Annotated[int, typer.Option(min=1, help="Number of forward passes to measure latency over.")] = 10,
    source_options: o.SourceOptions,
    passes: o.Passes,
    answer: o.Answer,
) -> None:
    """Score a model: accuracy beside base and base restricted, cost, latency, behaviour off its task.

    Example: modellego evaluate new.brick --data digits
    """
    from modellego.brick import Brick
    from modellego.cli.opening import open_data, open_model, say_labels
    from modellego.data.labels import few
    from modellego.errors import LegoError
    from modellego.evaluation import evaluate as measure

    data = open_data(images)
    opened = open_model(model, source_options, data)
    say_labels(data, opened.vocabulary, images.mapping)
    whole = open_model(source, o.SourceOptions(), data) if source else None
    if whole is not None and not isinstance(whole, Brick):
        raise LegoError(f"--source {source} is an assembled model: name the one source model this brick was cut from")
    found = measure(
        opened,
        data,
        source=whole,
        mapping=images.mapping,
        latency_batch=latency,
        latency_runs=runs,
        device=passes.device,
        progress=progress,
    )
    size = bytes_on_disk(Path(model))
    if answer.json:
        scored_on = "test" if data.test is not None else "train"
        print_json({"path": model, **found.as_json(), "bytes_on_disk": size, "scored_on": scored_on})
        return
    speed = "–" if found.latency is None else f"{1000 * found.latency.median:.1f} ms"
    header = [
        "model",
        "base",
        "restricted",
        "accuracy",
        "balanced",
        "MACs",
        "parameters",
        "on disk",
        f"latency ({latency})" if latency else "latency",
    ]
    cells = [percent(found.base), percent(found.base_restricted)]
    cells += [percent(found.scores.accuracy), percent(found.scores.balanced_accuracy)]
    cells += [amount(found.cost.macs), amount(found.cost.parameters)]
    cells += ["–" if size is None else f"{amount(size)}B", speed]
    title = f"{counted(len(found.classes), 'class', 'classes')}, {counted(found.scores.images, 'image')}"
    print_table(title, header, [[model, *cells]])
    if data.test is None:
        remark("There is no test data: this is scored on the data given, which may have been chosen from.")
    if found.cost.not_counted:
        out().print(f"not counted as MACs: {', '.join(found.cost.not_counted)}")
    if found.reject is not None:
        rule = found.reject
        out().print(
            f'says "none of these" where its {rule.statistic} is below {rule.threshold:.4g}: {percent(rule.rejected)} '
            f"of its own images; right: {percent(rule.accuracy)} of all, {percent(rule.accuracy_answered)} of the rest"
        )
    if found.off_task is not None and found.off_task.auroc is not None:
        off = found.off_task
        line = (
            f"off its task ({off.images:,} images labelled {few(off.classes)}): AUROC {off.auroc:.3f} "
            f"by the largest probability"
        )
        if off.auroc_reject is not None:
            line += f", {off.auroc_reject:.3f} by its reject rule, which turns away {percent(off.rejected_off)} of them"
        out().print(line)
