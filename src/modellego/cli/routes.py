"""`modellego routes` and `modellego heatmap`: which channels decide which class, as a page or a picture."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import out, print_json, progress


def routes(
    model: Annotated[str, typer.Argument(help="A brick's directory, or a source model.")],
    *,
    images: o.TrainImages,
    output: o.Output,
    classes: Annotated[str | None, typer.Option(help="Classes to follow; all by default.")] = None,
    per_class: o.MostConfident = 50,
    edges: Annotated[int, typer.Option(min=0, help="Edges shown for each class and layer.")] = 24,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Threshold that the page starts with.")] = 0.2,
    dark: Annotated[bool, typer.Option("--dark", help="Draw pictures on a dark ground.")] = False,
    source_options: o.SourceOptions,
    answer: o.Answer,
) -> None:
    """Draw decision routes: an interactive page (.html) or a picture (.png, .svg), one for each network.

    Example: modellego routes few.brick --data digits -o routes.html
    """
    from modellego.cli.files import check_file, write_file
    from modellego.cli.opening import open_data, open_model, say_labels
    from modellego.decision_routes import render_html, save_picture
    from modellego.decision_routes import routes as follow

    check_file(output.path, output.force, (".html", ".png", ".svg", ".pdf"))
    data = open_data(images)
    opened = open_model(model, source_options, data)
    say_labels(data, opened.vocabulary, images.mapping)
    graphs = follow(
        opened,
        data,
        classes,
        mapping=images.mapping,
        per_class=per_class,
        edges=edges,
        threshold=threshold,
        progress=progress,
    )
    first, written = output.path, []
    for number, graph in enumerate(graphs):
        path = first if number == 0 else first.with_stem(f"{first.stem}-{number + 1}")
        if number:
            check_file(path, output.force, (first.suffix.lower(),))
        if path.suffix.lower() == ".html":
            page = render_html(graph)
            write_file(path, partial(_write_text, page))
        else:
            write_file(path, partial(save_picture, graph, dark=dark))
        written.append(path)
    if answer.json:
        followed = [{"classes": list(g.classes), "layers": [v.name for v in g.layers]} for g in graphs]
        print_json({"path": str(first), "paths": [str(p) for p in written], "graphs": followed})
        return
    out().print(f"wrote {', '.join(map(str, written))}")


def heatmap(
    model: Annotated[str, typer.Argument(help="A brick's directory, or a source model.")],
    *,
    images: o.TrainImages,
    output: o.Output,
    layer: Annotated[
        str,
        typer.Option(help="Name of a layer, or its number among the convolutions and linear layers that mix channels."),
    ] = "-1",
    classes: Annotated[str | None, typer.Option(help="Classes to show; all by default.")] = None,
    by_sample: Annotated[
        bool, typer.Option("--samples", help="One row per sample instead of one row per class.")
    ] = False,
    per_class: o.MostConfident = 50,
    source_options: o.SourceOptions,
    answer: o.Answer,
) -> None:
    """Draw the relative contribution of a layer's channels to each class (.png, .svg, .pdf).

    Example: modellego heatmap few.brick --data digits -o heatmap.png
    """
    from modellego.cli.files import check_picture, write_file
    from modellego.cli.opening import open_brick, open_data, say_labels
    from modellego.heatmaps import draw_classes, draw_samples
    from modellego.heatmaps import heatmap as map_layer

    check_picture(output.path, output.force)
    data = open_data(images)
    opened = open_brick(model, source_options, data)
    say_labels(data, opened.vocabulary, images.mapping)
    place = int(layer) if layer.lstrip("-").isdigit() else layer
    found = map_layer(opened, data, place, classes, mapping=images.mapping, per_class=per_class, progress=progress)
    if by_sample:
        write_file(
            output.path,
            lambda p: draw_samples(found.by_sample, found.labels, found.classes, p, layer=found.layer),
        )
    else:
        write_file(output.path, lambda p: draw_classes(found.by_class, found.classes, p, layer=found.layer))
    alike = {"within": found.similarity.within, "between": found.similarity.between}
    if answer.json:
        print_json(
            {"path": str(output.path), "layer": found.layer, "classes": list(found.classes), "similarity": alike}
        )
        return
    out().print(
        f"wrote {output.path}: samples of one class agree by {alike['within']:.3f}, of two classes by "
        f"{alike['between']:.3f} (mean cosine)"
    )


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
