"""`modellego inspect`: the layers of a model or brick, its channel groups, and what may be cut.

Example: modellego inspect lego-demo/lenet.brick
"""

from typing import Annotated, Any

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, print_json, print_table
from modellego.drawing.words import counted


def inspect(
    model: Annotated[str, typer.Argument(help="A brick's directory, or a source model: zoo:NAME, file.py:callable.")],
    *,
    source_options: o.SourceOptions,
    answer: o.Answer,
) -> None:
    """Show a model's layers, its groups of coupled channels, and which of them may be cut.

    Example: modellego inspect lego-demo/lenet.brick
    """
    from modellego.cli.opening import open_model
    from modellego.evaluation.inspection import inspect as look_into

    found = look_into(open_model(model, source_options))
    if answer.json:
        print_json({"path": model, **found})
        return
    for part in found["networks"]:
        _print_network(part)
    classes = ", ".join(found["classes"][:12]) + (", ..." if len(found["classes"]) > 12 else "")
    out().print(f"{counted(len(found['classes']), 'class', 'classes')}: {classes}")


def _print_network(part: dict[str, Any]) -> None:
    rows = [
        [row["layer"], row["type"], str(row["in"]), str(row["out"]), str(row["may_cut"]), amount(row["macs"])]
        for row in part["layers"]
    ]
    title = (
        f"{part['name']}: input {'x'.join(map(str, part['input_shape']))}, {amount(part['macs'])} MACs, "
        f"{amount(part['parameters'])} parameters, {part['channels']:,} channels in {part['groups']:,} groups, "
        f"{part['cuttable_groups']:,} of which may be cut"
    )
    print_table(title, ["layer", "type", "in", "out", "may be cut", "MACs"], rows)
    if part["refit"]:
        errors = [[" + ".join(s["layers"]), f"{s['before']:.2%}", f"{s['after']:.2%}"] for s in part["refit"]]
        print_table("refit: relative squared error to the uncut model", ["layers", "before", "after"], errors)
    for reason, nodes in part["kept_whole"].items():
        out().print(f"kept whole: {', '.join(nodes[:4])}{' ...' if len(nodes) > 4 else ''}: {reason}")
    for reason, nodes in part["by_definition"].items():
        out().print(f"cut by definition: {', '.join(nodes[:4])}{' ...' if len(nodes) > 4 else ''}: {reason}")
