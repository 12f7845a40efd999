"""`modellego demo`: the whole road on embedded data, in about a minute."""

import os
from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, note, out, percent, print_json, print_table, progress


def demo(
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for the bricks and the new model.")] = Path(
        "lego-demo"
    ),
    seed: o.SeedOption = 0,
    force: o.ForceFlag = False,
    json: o.JsonFlag = False,
) -> None:
    """Train two small models on handwritten digits, take them apart, put the bricks together without training."""
    from modellego.brick import check_target
    from modellego.demonstration import SOURCES
    from modellego.demonstration import demo as run
    from modellego.errors import LegoError

    place = next(p for p in (output.absolute(), *output.absolute().parents) if p.exists())
    if not place.is_dir():
        raise LegoError(f"{place.name} is a file: name a folder for the bricks with --out")
    if not os.access(place, os.W_OK):
        raise LegoError(f"nothing can be written into the directory {place}: name another folder with --out")
    files = [output / f"{s.name}.brick" for s in SOURCES] + [output / "digits.brick"]
    for file in files:
        if output.is_dir():
            check_target(file, force)
    if not json:
        note("Two classifiers, trained on different digits, become two bricks, become one new classifier.")
    found = run(output, seed, force, progress)
    rows = []
    for source, brick, scores in zip(SOURCES, found.bricks, found.scores, strict=True):
        rows.append(
            {
                "model": f"{source.name}.brick",
                "task": f"digits {_span(source.wanted)} of {_span(source.trained_on)}",
                "base_accuracy": brick.info.scores["base_accuracy"],
                "base_restricted_accuracy": brick.info.scores["base_restricted_accuracy"],
                "accuracy": scores.scores.accuracy,
                "macs": scores.cost.macs,
                "macs_base": int(brick.info.scores["macs_base"] or 0),
                "parameters": scores.cost.parameters,
                "parameters_base": int(brick.info.scores["parameters_base"] or 0),
            }
        )
    new = found.assembled_scores
    macs = sum(int(b.info.scores["macs_base"] or 0) for b in found.bricks)
    parameters = sum(int(b.info.scores["parameters_base"] or 0) for b in found.bricks)
    rows.append(
        {
            "model": "digits.brick (assembled)",
            "task": "digits 0-9",
            "base_accuracy": found.base,
            "base_restricted_accuracy": found.base_restricted,
            "accuracy": new.scores.accuracy,
            "macs": new.cost.macs,
            "macs_base": macs,
            "parameters": new.cost.parameters,
            "parameters_base": parameters,
        }
    )
    if json:
        print_json({"path": str(output), "rows": rows})
        return
    table = [
        [
            str(r["model"]),
            str(r["task"]),
            percent(r["base_accuracy"]),  # type: ignore[arg-type]
            percent(r["base_restricted_accuracy"]),  # type: ignore[arg-type]
            percent(r["accuracy"]),  # type: ignore[arg-type]
            f"{amount(r['macs_base'])} → {amount(r['macs'])}",  # type: ignore[arg-type]
            f"{amount(r['parameters_base'])} → {amount(r['parameters'])}",  # type: ignore[arg-type]
        ]
        for r in rows
    ]
    header = ["model", "task", "base", "restricted", "accuracy", "MACs", "parameters"]
    print_table("scored on test images that nothing was chosen or trained on", header, table)
    out().print("base: the source model with all its logits; restricted: uncut, with the task's logits only.")
    out().print(f"The bricks and the new model are in {output}/.  Try next:")
    for command in (
        f"modellego inspect {output}/lenet.brick",
        f"modellego evaluate {output}/digits.brick --data digits",
        f"modellego disassemble {output}/resnet.brick --data digits --classes 2-3 -o {output}/two.brick",
        f"modellego assemble {output}/lenet.brick {output}/two.brick -o {output}/seven.brick",
    ):
        out().print(f"  [bold]{command}[/]", highlight=False)


def _span(digits: tuple[int, ...]) -> str:
    return f"{digits[0]}-{digits[-1]}"
