"""What `modellego disassemble` says of bricks, and a folder of them written, one for each class."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress, remark
from modellego.drawing.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modellego.brick import Brick
    from modellego.data import Data
    from modellego.disassembly.options import CutKeywords

HEADER = ["task", "base", "restricted", "brick", "MACs", "parameters"]


def write_each(
    whole: "Brick",
    data: "Data",
    classes: str | None,
    mapping: "Mapping[str, str | int]",
    output: o.Output,
    resume: bool,
    answer: o.Answer,
    asked: "CutKeywords",
) -> None:
    """Write a brick for each class into a folder, and say what they are."""
    from modellego.disassembly.folder import bricks_into

    how = {"force": output.force, "resume": resume}
    made = bricks_into(output.path, whole, data, classes, **how, mapping=mapping, progress=progress, **asked)
    found, rows = [], []
    for brick in made:
        found.append(as_json(output.path / f"{brick.name}.brick", brick))
        rows.append([", ".join(brick.classes), *row(brick)])
    if answer.json:
        print_json({"path": str(output.path), "bricks": found})
        return
    print_table(counted(len(rows), "brick, of one class", "bricks, each of one class"), HEADER, rows)
    if data.test is None:
        remark("There is no test data, so nothing was scored: name some with --test-data.")
    notes = sum(bool(brick["notes"]) for brick in found)
    if notes:
        remark(f"{notes} of the bricks have notes: --json prints them")
    out().print(f"wrote {output.path}.  Next: modellego shelf {output.path}")


def as_json(path: Path, brick: "Brick") -> dict[str, Any]:
    """Return what a disassembly says of a brick, as plain values."""
    scores, cut, refit = brick.info.scores, brick.info.cut, brick.info.refit
    assert cut is not None
    refitted = None if refit is None else {k: v for k, v in refit.items() if k != "stages"}
    plain = {k: v if v is None or not k.startswith(("macs", "parameters")) else int(v) for k, v in scores.items()}
    kept = {"kept_groups": cut.kept, "groups": cut.total, "refit": refitted}
    return {"path": str(path), "classes": list(brick.classes), **plain, **kept, "notes": brick.info.notes}


def row(brick: "Brick") -> list[str]:
    """Return a brick's cells of `HEADER`, without the task."""
    scores = brick.info.scores
    cells = [percent(scores[k]) for k in ("base_accuracy", "base_restricted_accuracy", "brick_accuracy")]
    for key in ("macs", "parameters"):
        before, after = scores[f"{key}_base"] or 1, scores[key] or 0
        cells.append(f"{amount(before)} → {amount(after)} ({percent(after / before)})")
    return cells
