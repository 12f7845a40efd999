"""`modellego finetune`: some epochs of training for a brick or an assembled model."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, note, out, percent, print_json, print_table, progress, remark
from modellego.cli.files import checkpoint_path

if TYPE_CHECKING:
    from modellego.training import Epoch


def finetune(
    model: Annotated[str, typer.Argument(help="A brick's directory, assembled or not.")],
    *,
    images: o.Images,
    output: o.Output,
    epochs: Annotated[
        int | None, o.TRAINING(help="Number of epochs; by default chosen by the number of images.")
    ] = None,
    lr: Annotated[
        float | None,
        o.TRAINING(help="First learning rate; it falls to zero along a cosine. By default chosen by short trials."),
    ] = None,
    norms: Annotated[
        Literal["train", "frozen"] | None,
        o.TRAINING(
            help="Batch norms use each batch's statistics, or keep their own. By default chosen by short trials."
        ),
    ] = None,
    batch_size: Annotated[int | None, o.TRAINING(help="Images per step; by default chosen by their number.")] = None,
    training: o.Training,
    weight_decay: Annotated[float, o.TRAINING(help="Weight decay.")] = 5e-4,
    held_out: Annotated[
        float | None,
        o.TRAINING(
            help="Share of the training images held out to choose weights by; by default chosen by their number."
        ),
    ] = None,
    keep: Annotated[
        Literal["last", "best"],
        o.TRAINING(
            help="Which weights to keep: the best on held-out images (the brick's own, where training "
            "does not help), or the last epoch's."
        ),
    ] = "best",
    grow_cross: Annotated[
        bool, o.TRAINING("--grow-cross", help="In padded models, also train the weights between different bricks.")
    ] = False,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], o.RUN(help="auto: bfloat16 on a GPU.")] = "auto",
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Train a brick or an assembled model for some epochs; an interrupted run continues with --resume.

    Example: modellego finetune few.brick --data digits --epochs 2 -o tuned.brick
    """
    from modellego.brick import check_target
    from modellego.cli.opening import open_data, open_model, say_labels
    from modellego.finetuning import finetune as train
    from modellego.finetuning.candidates import candidates
    from modellego.training import Augment, training_images
    from modellego.training.record import rescored

    check_target(output.path, output.force)
    file = checkpoint_path(output, training.resume, training.checkpoint)
    if not training.resume:
        note(f"checkpoint: {file}")
    said = {"epochs": epochs, "lr": lr, "norms": norms, "batch_size": batch_size, "held_out": held_out}
    augment = Augment(training.flip, training.shift)
    rest = {"weight_decay": weight_decay, "augment": augment, "keep": keep, "precision": precision}
    given = {k: v for k, v in said.items() if v is not None} | rest | {"device": training.device, "seed": seed}
    candidates(0, **given)  # what makes no sense is refused before the data are read
    data = open_data(images)
    opened = open_model(model, o.SourceOptions(), data)
    say_labels(data, opened.vocabulary, images.mapping)
    done = train(
        opened,
        data,
        settings=candidates(len(training_images(opened, data, images.mapping)), **given),
        grow_cross=grow_cross,
        mapping=images.mapping,
        checkpoint=file,
        resume=training.resume,
        progress=progress,
    )
    before, after = rescored(opened, done.model, data, images.mapping)
    done.model.save(output.path, output.force)
    file.unlink(missing_ok=True)
    if answer.json:
        found = {"accuracy_before": before, "accuracy": after, **done.as_json()}
        print_json({"path": str(output.path), "classes": list(done.model.classes), **found})
        return
    print_curve(done.curve, done.kept_epoch)
    s = done.settings
    out().print(
        f"first learning rate {s.lr:g}, batch norms {s.norms}, {s.batch_size} images per step, {s.epochs} epochs"
    )
    if not done.kept_epoch:
        remark("Training did not surely help on the held-out images: the model stays as it was.")
    if after is None:
        remark("There is no test data, so nothing was scored: name some with --test-data.")
    else:
        out().print(f"on test images: {percent(before)} before, {percent(after)} after")
    size = sum(f.stat().st_size for f in output.path.iterdir())
    out().print(f"wrote {output.path} ({amount(size)}B)")


def print_curve(curve: "tuple[Epoch, ...]", kept: int) -> None:
    """Print the curve, an epoch per row."""

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.4f}"

    rows = [
        [f"{p.epoch}{' *' if p.epoch == kept else ''}", number(p.loss), number(p.held_out_loss), percent(p.accuracy)]
        for p in curve
    ]
    print_table("held-out images of the train part; * is kept", ["epoch", "loss", "held-out loss", "accuracy"], rows)
