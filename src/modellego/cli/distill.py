"""`modellego distill`: a brick, an assembled model or a whole source teaches a student network."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress
from modellego.cli.finetune import checkpoint_path, print_curve


def distill(
    teacher: Annotated[str, typer.Argument(help="A brick's directory, assembled or not, or a source model.")],
    student: Annotated[str, typer.Argument(help="zoo:NAME, another source model, or a brick's directory.")],
    data: o.DataOption,
    output: o.OutOption,
    test_data: o.TestDataOption = None,
    map_labels: o.MapOption = None,
    classes: Annotated[str | None, typer.Option(help="Some of the teacher's classes: 0-2,7 or names.")] = None,
    width: Annotated[float, typer.Option(help="Multiplies the inner channels of a zoo student.")] = 1.0,
    student_weights: Annotated[
        str | None, typer.Option(help="The student's weights; a zoo network needs none.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="By which both sides' logits are divided.")] = 4.0,
    share: Annotated[float, typer.Option(help="The teacher's share of the loss; the labels have the rest.")] = 0.9,
    epochs: Annotated[int, typer.Option(help="How often to go through the images.")] = 30,
    lr: Annotated[float, typer.Option(help="First learning rate; it falls to zero on half a cosine.")] = 0.05,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 128,
    flip: Annotated[bool, typer.Option(help="Mirror training images by chance.")] = True,
    shift: Annotated[int, typer.Option(help="Move training images by up to this many pixels.")] = 4,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    checkpoint: Annotated[Path | None, typer.Option(help="Where to keep the checkpoint; beside the output.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint of an interrupted run.")] = False,
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
    """Train a student on the teacher's classes with the teacher's word on each image (Hinton et al. 2015)."""
    from modellego.brick import check_target, is_brick, load
    from modellego.cli.opening import SourceOptions, open_data, open_model
    from modellego.data import parse_mapping, resolve_classes
    from modellego.distillation import Distillation, student_from, teacher_accuracy, teachers_preprocess
    from modellego.distillation import distill as teach
    from modellego.distillation.student import restricted_to
    from modellego.evaluation import cost
    from modellego.training import Augment, Settings
    from modellego.training.record import rescored

    check_target(output, force)
    how = Distillation(temperature, share)
    augment = Augment(flip, shift)
    settings = Settings(epochs=epochs, lr=lr, batch_size=batch_size, augment=augment, device=device, seed=seed)
    file = checkpoint_path(output, checkpoint, resume, force)
    images = open_data(data, test_data)
    said = SourceOptions(weights, input_size, channels, mean, std, class_names, logits)
    opened = open_model(teacher, said, images)
    task = resolve_classes(classes, opened.classes) if classes else range(len(opened.classes))
    names = [opened.classes[i] for i in task]
    if is_brick(student):
        pupil = restricted_to(load(student), names)
    else:
        shape = teachers_preprocess(opened)
        pupil = student_from(student, names, shape, width=width, weights=student_weights, seed=seed)
    mapping = parse_mapping(map_labels or [])
    done = teach(
        opened,
        pupil,
        images,
        how=how,
        settings=settings,
        mapping=mapping,
        checkpoint=file,
        resume=resume,
        progress=progress,
    )
    teachers = teacher_accuracy(opened, pupil, images, mapping)
    _, accuracy = rescored(None, done.student, images, mapping)
    done.student.save(output, force)
    file.unlink(missing_ok=True)
    sizes = [cost(opened), cost(done.student)]
    if json:
        found = {
            "classes": list(done.student.classes),
            "accuracy": accuracy,
            "teacher_accuracy": teachers,
            "teacher_macs": sizes[0].macs,
        }
        found |= {"macs": sizes[1].macs, "parameters": sizes[1].parameters}
        print_json({"path": str(output), **found, **done.as_json()})
        return
    print_curve(done.curve, done.trained.kept_epoch)
    header = ["model", "accuracy on test images", "MACs", "parameters"]
    cells = [
        [percent(teachers), percent(accuracy)],
        [amount(s.macs) for s in sizes],
        [amount(s.parameters) for s in sizes],
    ]
    print_table(
        "teacher and student",
        header,
        [[n, *r] for n, r in zip([teacher, student], zip(*cells, strict=True), strict=True)],
    )
    size = sum(f.stat().st_size for f in Path(output).iterdir())
    out().print(f"wrote {output} ({amount(size)}B)")
