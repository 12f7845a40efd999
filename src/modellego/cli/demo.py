"""`modellego demo`: the whole road on embedded data, in about a minute."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, note, out, percent, print_json, print_table, progress


def demo(
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder for the bricks and the new model.")] = Path(
        "lego-demo"
    ),
    *,
    force: o.Force = False,
    seed: o.Seed = 0,
    answer: o.Answer,
) -> None:
    """Train two small models on handwritten digits, take them apart, put the bricks together without training.

    Example: modellego demo
    """
    from modellego.demonstration import SOURCES
    from modellego.demonstration import demo as run

    if not answer.json:
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
    if answer.json:
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
        f"modellego disassemble {output}/resnet.brick --data digits --classes 7-8 -o {output}/two.brick",
        f"modellego assemble {output}/lenet.brick {output}/two.brick -o {output}/seven.brick",
    ):
        out().print(f"  {command}", style="bold", highlight=False)


def _span(digits: tuple[int, ...]) -> str:
    return f"{digits[0]}-{digits[-1]}"
