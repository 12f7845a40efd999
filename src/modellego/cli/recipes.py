"""`modellego run` and `recipe`: a whole way from sources to exports in one file, and the file back from a brick."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, print_json, print_table, printable, progress

if TYPE_CHECKING:
    from modellego.recipes import Plan


def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    *,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the results; by default RECIPE-bricks, here.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Check all of it, show the steps and their cost, and stop.")
    ] = False,
    force: o.Force = False,
    answer: o.Answer,
) -> None:
    """Make what a recipe says: bricks, the model they make, its scores and exports; finished steps are reused.

    Example: modellego run digits.yaml
    """
    from modellego.recipes import plan as look_ahead
    from modellego.recipes import run as make
    from modellego.recipes.verb import told

    if plan:
        found = look_ahead(recipe, folder)
        print_json(found.as_json()) if answer.json else _tell(found)
        return
    made = make(recipe, folder, force=force, progress=progress)
    if answer.json:
        print_json(made.as_json())
        return
    rows = [
        [s.name, "reused" if s.reused else f"{s.seconds:.1f} s", told(s.result), ", ".join(s.files)] for s in made.steps
    ]
    print_table(made.recipe, ["step", "", "found", "wrote"], rows)
    for step in made.steps:
        if step.result.get("unscored"):
            out().print(step.result["unscored"])


def recipe(
    brick: Annotated[Path, typer.Argument(help="A brick's directory.")],
    *,
    answer: o.Answer,
) -> None:
    """Print the recipe that made a brick.

    Example: modellego recipe made/low.brick
    """
    from modellego.brick import load
    from modellego.recipes import recipe as recipe_of

    model = load(brick)
    text = recipe_of(model)
    if answer.json:
        assert model.info.recipe is not None
        print_json({"path": str(brick), "step": model.info.recipe.step, "recipe": text})
        return
    typer.echo(printable(text), nl=False)


def _tell(found: "Plan") -> None:
    rows = [
        [
            step.name,
            step.does,
            "finished" if step.finished else "to do",
            f"{step.images:,}",
            amount(step.macs),
            f"{step.seconds:.1f} s",
        ]
        for step in found.steps
    ]
    print_table(f"{found.recipe} → {found.out}", ["step", "does", "state", "images", "MACs", "at least"], rows)
    out().print(
        "images: passes of one image through a network; at least: what these took when measured, fitting not counted"
    )
