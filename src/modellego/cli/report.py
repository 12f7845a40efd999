"""`modellego report`: one self-contained page about a brick or an assembled model."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, print_json, progress


def report(
    model: Annotated[Path, typer.Argument(help="A brick's directory.")],
    *,
    output: o.Output,
    images: o.MaybeImages,
    source: Annotated[
        list[Path] | None,
        typer.Option(metavar="BRICK", help="The uncut source model, as a brick's directory; repeatable."),
    ] = None,
    routes: Annotated[bool, typer.Option(help="Draw decision routes (needs --data).")] = True,
    classes: Annotated[str | None, typer.Option(help="Classes whose routes are drawn.")] = None,
    latency: Annotated[int, typer.Option(min=0, help="Forward passes to time; 0 for none.")] = 0,
    answer: o.Answer,
) -> None:
    """Write a page about a model: lineage, sizes, accuracy, confusion, off-task behaviour, routes.

    Example: modellego report new.brick --data digits -o new.html
    """
    from modellego.brick import Brick, load
    from modellego.cli.files import check_file, write_file
    from modellego.cli.opening import open_maybe, say_labels
    from modellego.errors import LegoError
    from modellego.reporting import report as render

    check_file(output.path, output.force, (".html",))
    opened = load(model)
    sources = [load(s) for s in source or []]
    if not all(isinstance(s, Brick) for s in sources):
        raise LegoError("--source takes whole source models of one network each")
    data = open_maybe(images)
    if data is not None:
        say_labels(data, opened.vocabulary, images.mapping)
    page = render(
        opened,
        data,
        name=model.resolve().name.removesuffix(".brick"),
        sources=[s for s in sources if isinstance(s, Brick)],
        mapping=images.mapping,
        route_classes=classes,
        with_routes=routes and data is not None,
        latency_runs=latency,
        progress=progress,
    )
    write_file(output.path, lambda p: p.write_text(page, encoding="utf-8"))
    if answer.json:
        print_json({"path": str(output.path), "bytes": len(page.encode())})
        return
    out().print(f"wrote {output.path} ({amount(len(page.encode()))}B)")
