"""`modellego distill`: a brick, an assembled model or a whole source teaches a student network."""

from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, note, out, percent, print_json, print_table, progress
from modellego.cli.files import checkpoint_path
from modellego.cli.finetune import print_curve


def distill(
    teacher: Annotated[str, typer.Argument(help="A brick's directory, assembled or not, or a source model.")],
    student: Annotated[str, typer.Argument(help="zoo:NAME, another source model, or a brick's directory.")],
    *,
    images: o.Images,
    output: o.Output,
    classes: Annotated[str | None, typer.Option(help="Some of the teacher's classes: 0-2,7 or names.")] = None,
    width: Annotated[float, typer.Option(help="Multiplies the numbers of channels inside a zoo student.")] = 1.0,
    student_weights: Annotated[
        str | None, typer.Option(help="The student's weights; a zoo network needs none.")
    ] = None,
    temperature: Annotated[
        float, o.TRAINING(help="Temperature: what the logits of teacher and student are divided by.")
    ] = 4.0,
    share: Annotated[float, o.TRAINING(help="Weight of the teacher's loss; the labels' loss has the rest.")] = 0.9,
    epochs: Annotated[int, o.TRAINING(help="Number of epochs.")] = 30,
    lr: Annotated[float, o.TRAINING(help="First learning rate; it falls to zero along a cosine.")] = 0.05,
    batch_size: Annotated[int, o.TRAINING(help="Images per step.")] = 128,
    training: o.Training,
    source_options: o.SourceOptions,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Train a student on the teacher's logits as well as on the labels (Hinton et al. 2015).

    Example: modellego distill lego-demo/resnet.brick zoo:lenet5 --data digits --epochs 2 -o student.brick
    """
    from modellego.brick import check_target, is_brick, load
    from modellego.cli.opening import open_data, open_model, say_labels
    from modellego.data import resolve_classes
    from modellego.distillation import Distillation, student_from, teacher_accuracy, teachers_preprocess
    from modellego.distillation import distill as teach
    from modellego.distillation.student import restricted_to
    from modellego.evaluation import cost
    from modellego.training import Augment, Settings
    from modellego.training.record import rescored

    check_target(output.path, output.force)
    how = Distillation(temperature, share)
    augment = Augment(training.flip, training.shift)
    settings = Settings(epochs=epochs, lr=lr, batch_size=batch_size, augment=augment, device=training.device, seed=seed)
    file = checkpoint_path(output, training.resume, training.checkpoint)
    if not training.resume:
        note(f"checkpoint: {file}")
    data = open_data(images)
    opened = open_model(teacher, source_options, data)
    task = resolve_classes(classes, opened.classes) if classes else range(len(opened.classes))
    names = [opened.classes[i] for i in task]
    if is_brick(student):
        pupil = restricted_to(load(student), names)
    else:
        shape = teachers_preprocess(opened)
        pupil = student_from(student, names, shape, width=width, weights=student_weights, seed=seed)
    say_labels(data, pupil.vocabulary, images.mapping)
    done = teach(
        opened,
        pupil,
        data,
        how=how,
        settings=settings,
        mapping=images.mapping,
        checkpoint=file,
        resume=training.resume,
        progress=progress,
    )
    teachers = teacher_accuracy(opened, pupil, data, images.mapping)
    _, accuracy = rescored(None, done.student, data, images.mapping)
    done.student.save(output.path, output.force)
    file.unlink(missing_ok=True)
    sizes = [cost(opened), cost(done.student)]
    if answer.json:
        found = {
            "classes": list(done.student.classes),
            "accuracy": accuracy,
            "teacher_accuracy": teachers,
            "teacher_macs": sizes[0].macs,
        }
        found |= {"macs": sizes[1].macs, "parameters": sizes[1].parameters}
        print_json({"path": str(output.path), **found, **done.as_json()})
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
    size = sum(f.stat().st_size for f in output.path.iterdir())
    out().print(f"wrote {output.path} ({amount(size)}B)")
