"""`modellego take`, `add` and `replace`: bricks off an assembled model, onto it, and one for another."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress
from modellego.cli.scoring import say_joined_labels, scored, spent
from modellego.drawing.words import counted

if TYPE_CHECKING:
    from modellego.brick import Assembled, Brick
    from modellego.data import Data

ModelArgument = Annotated[Path, typer.Argument(help="An assembled model's directory.")]
NameArgument = Annotated[str, typer.Argument(help="What the brick is called in the model.")]
AllowSame = Annotated[bool, typer.Option("--allow-same", help="Join a brick with itself.")]


@dataclass(frozen=True)
class RecalibrationOptions(o.RejectOptions, o.MaybeImages):
    """How what is joined anew is calibrated."""

    calibrate: Annotated[
        str | None, o.CALIBRATION(help="With --data: affine, head or prior; as the model was, by default.")
    ] = None
    per_class: Annotated[int | None, o.CALIBRATION(min=1, help="Images per class for calibration.")] = None
    seed: o.Seed = 0

    def options(self, data: "Data | None") -> dict[str, Any]:
        """Return what the verbs are given."""
        given = {} if self.per_class is None else {"per_class": self.per_class}
        rule = {"reject": self.share, "reject_by": self.reject_by, "mapping": self.mapping or None}
        return {**given, **rule, "data": data, "calibrate": self.calibrate, "seed": self.seed, "progress": progress}


def take(
    model: ModelArgument,
    name: NameArgument,
    *,
    output: o.Output,
    rest: Annotated[Path | None, typer.Option(help="Where to write the model without the brick.")] = None,
    again: RecalibrationOptions,
    answer: o.Answer,
) -> None:
    """Take a brick off an assembled model, as it went in; with --rest, write what stays, calibrated again by --data.

    Example: modellego take new.brick lenet -o lenet.brick
    """
    from modellego.assembly.parts import take as take_off
    from modellego.brick import check_target, load
    from modellego.cli.opening import open_maybe
    from modellego.errors import LegoError

    check_target(output.path, output.force)
    if rest is not None:
        check_target(rest, output.force)
        if rest.resolve() == output.path.resolve():
            raise LegoError(f"{rest} is to hold the brick: give --rest another directory")
    elif again.data:
        raise LegoError("--data serves to calibrate what stays: say with --rest where to write it")
    data, whole = open_maybe(again), load(model)
    _say_labels({n: b for n, b in _inside(whole).items() if n != name}, whole, data, again)
    taken = take_off(whole, name, **again.options(data))
    taken.brick.save(output.path, output.force)
    found: dict[str, Any] = {"path": str(output.path), "name": name, "classes": list(taken.brick.classes), "rest": None}
    if rest is not None:
        found["rest"] = _written(taken.rest, rest, output.force, data, again)
    if answer.json:
        print_json(found)
        return
    out().print(f"wrote {output.path}: {name}, {counted(len(taken.brick.classes), 'class', 'classes')}, as it went in.")
    if rest is not None:
        _tell(found["rest"])


def add(
    model: ModelArgument,
    brick: Annotated[Path, typer.Argument(help="The directory of the brick to put on.")],
    *,
    output: o.Output,
    name: Annotated[str | None, typer.Option(help="What to call it; as its directory, by default.")] = None,
    allow_same: AllowSame = False,
    again: RecalibrationOptions,
    answer: o.Answer,
) -> None:
    """Put a brick on an assembled model, behind the others; calibrated again by --data.

    Example: modellego add new.brick lego-demo/resnet.brick -o more.brick
    """
    from modellego.assembly.parts import add as put_on
    from modellego.brick import check_target, load
    from modellego.cli.opening import open_maybe

    check_target(output.path, output.force)
    data, whole, more = open_maybe(again), load(model), load(brick)
    own = _inside(whole)
    _say_labels(own | {_called(more, name, own): more}, whole, data, again)
    made = put_on(whole, more, name=name, allow_same=allow_same, **again.options(data))
    found = _written(made, output.path, output.force, data, again)
    print_json(found) if answer.json else _tell(found)


def replace(
    model: ModelArgument,
    name: NameArgument,
    brick: Annotated[Path, typer.Argument(help="The directory of the brick that comes in its place.")],
    *,
    output: o.Output,
    new_name: Annotated[
        str | None, typer.Option(help="What to call the new one; as its directory, by default.")
    ] = None,
    allow_same: AllowSame = False,
    again: RecalibrationOptions,
    answer: o.Answer,
) -> None:
    """Put another brick in the place of one of an assembled model; calibrated again by --data.

    Example: modellego replace new.brick few lego-demo/resnet.brick --data digits -o newer.brick
    """
    from modellego.assembly.parts import replace as exchange
    from modellego.brick import check_target, load
    from modellego.cli.opening import open_maybe

    check_target(output.path, output.force)
    data, whole, other = open_maybe(again), load(model), load(brick)
    own = _inside(whole)
    new = _called(other, new_name, [n for n in own if n != name])
    _say_labels({new if n == name else n: other if n == name else b for n, b in own.items()}, whole, data, again)
    made = exchange(whole, name, other, new_name=new_name, allow_same=allow_same, **again.options(data))
    found = _written(made, output.path, output.force, data, again)
    print_json(found) if answer.json else _tell(found)


def _inside(model: "Brick | Assembled") -> "dict[str, Brick | Assembled]":
    """Return an assembled model's bricks by name; none of any other: the verbs refuse it."""
    from modellego.assembly.parts import assembly_of
    from modellego.brick import Assembled

    if not isinstance(model, Assembled):
        return {}
    return dict(zip(assembly_of(model).names, (brick for brick, _, _ in model.parts), strict=True))


def _called(brick: "Brick | Assembled", name: str | None, others: Collection[str]) -> str:
    """Return what a brick that joins others will be called."""
    from modellego.assembly.class_names import brick_names, free_name

    return name or free_name(brick_names([brick])[0], list(others))


def _say_labels(
    bricks: "Mapping[str, Brick | Assembled]",
    model: "Brick | Assembled",
    data: "Data | None",
    again: RecalibrationOptions,
) -> None:
    """Say what the labels mean to the model that is to come, where it is calibrated again."""
    merged = model.info.assembly is not None and model.info.assembly.merged
    if _inside(model) and bricks:
        say_joined_labels(list(bricks.values()), list(bricks), merged, data, again.mapping)


def _written(
    made: "Brick | Assembled", path: Path, force: bool, data: "Data | None", again: RecalibrationOptions
) -> dict[str, Any]:
    """Score and write a model that was joined anew, and return what there is to say; one brick left stays as it is."""
    from modellego.brick import Assembled

    joined = isinstance(made, Assembled) and made.info.assembly is not None
    names = made.info.assembly.names if joined and made.info.assembly is not None else (made.name,)
    evaluation, unscored = scored(made, data, again.mapping) if joined else (None, "")
    made.save(path, force)
    return {
        "path": str(path),
        "bricks": list(names),
        "classes": list(made.classes),
        "calibrate": made.info.assembly.calibrate if made.info.assembly is not None else None,
        "accuracy": None if evaluation is None else evaluation.scores.accuracy,
        "balanced_accuracy": None if evaluation is None else evaluation.scores.balanced_accuracy,
        **spent(made),
        "notes": " ".join(filter(None, (made.info.notes, unscored))),
    }


def _tell(found: dict[str, Any]) -> None:
    row = [found["path"], str(len(found["classes"])), percent(found["accuracy"]), amount(found["macs"])]
    print_table(" + ".join(found["bricks"]), ["model", "classes", "accuracy", "MACs"], [row])
    out().print(found["notes"])
    out().print(f"wrote {found['path']}.")
