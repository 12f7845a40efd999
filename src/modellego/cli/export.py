"""`modellego export`: a brick as a file that runs without this package."""

from pathlib import Path
from typing import Annotated

import typer

from modellego.cli import options as o
from modellego.cli.console import amount, out, percent, print_json, print_table, progress


def export(
    model: Annotated[Path, typer.Argument(help="A brick's directory.")],
    *,
    output: o.Output,
    to: Annotated[str, typer.Option(help="The format: onnx, or pt2 (PyTorch's exported program).")] = "onnx",
    images: o.MaybeImages,
    image_size: Annotated[
        str | None, typer.Option(help="Size of the images it will be given: 480x640; by default the model's own.")
    ] = None,
    prepared: Annotated[
        bool,
        typer.Option(
            "--prepared", help="Leave the preprocessing out of the file: it takes input that is already prepared."
        ),
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also write NAME.int8.onnx, quantised by ONNX Runtime.")] = False,
    answer: o.Answer,
) -> None:
    """Write a brick as ONNX or as a PyTorch program, checked on images against the brick.

    Example: modellego export lego-demo/lenet.brick --data digits -o lenet.onnx
    """
    from modellego.brick import load
    from modellego.cli.opening import open_maybe, say_labels
    from modellego.exporting import export as write

    opened, data = load(model), open_maybe(images)
    if data is not None:
        say_labels(data, opened.vocabulary, images.mapping)
    done = write(
        opened,
        output.path,
        to=to,  # type: ignore[arg-type]
        data=data,
        mapping=images.mapping,
        image_size=_size(image_size),
        prepared=prepared,
        int8=int8,
        force=output.force,
        progress=progress,
    )
    if answer.json:
        print_json(done.as_json())
        return
    rows = [["the brick, PyTorch", done.brick], [output.path.name, done.file]]
    if done.int8 is not None:
        rows.append([Path(done.int8.path).name, done.int8])
    header = ["", "accuracy", "bytes", "one image, one thread"]
    cells = [
        [str(name), percent(m.accuracy), amount(m.bytes), f"{1000 * m.latency:.2f} ms"]  # type: ignore[attr-defined]
        for name, m in rows
    ]
    print_table(f"{model.name}, images {'x'.join(map(str, done.input_shape))}", header, cells)
    kind = "images of the data" if done.real else "made-up images (give --data to check on real ones)"
    out().print(f"the same to {done.difference:.1e} of the largest logit, on {done.images} {kind}")
    out().print(f"wrote {output.path}" + (f" and {done.int8.path}" if done.int8 is not None else ""))


def _size(text: str | None) -> tuple[int, int] | None:
    """Read HEIGHTxWIDTH, or one number for both.

    >>> _size("480x640"), _size("32")
    ((480, 640), (32, 32))
    """
    from modellego.errors import LegoError

    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isdigit() for p in parts):
        raise LegoError(f"--image-size is HEIGHTxWIDTH in pixels, such as 480x640, not {text}")
    return int(parts[0]), int(parts[-1])
