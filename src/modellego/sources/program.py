"""Reads a model that `torch.export.save` wrote (`.pt2`), and says of other kinds of files what to do with them."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import fx, nn

from modellego.errors import SourceError
from modellego.sources.weights import is_torchscript, reason_of

FIXED = "export it again with dynamic_shapes=({0: torch.export.Dim('batch')},)"

_ATOM = r"Symbol\('[su]\d+'(?:, (?:positive|nonnegative|integer)=True)*\)|Integer\(-?\d+\)|[su]\d+|\d+"  # of a size


def read_program(file: Path) -> tuple[nn.Module, tuple[int, int, int]]:
    """Return the module of an exported program and its input's channels, height and width; no code of it is run.

    The file holds a graph of ATen ops and plain tensors; one with pickled objects is refused.

    Raises:
        SourceError: a missing or broken file, or a program that does not map one image tensor of any batch size.
    """
    if not file.is_file():
        raise SourceError(f"there is no file {file}")
    try:
        _refuse_code(file)
        program = torch.export.load(file)
    except SourceError:
        raise
    except Exception as error:  # broken files raise nearly anything
        raise SourceError(
            f"{file} is not an exported program ({reason_of(error)}): write it with torch.export.save"
        ) from error
    names = set(program.graph_signature.user_inputs)
    inputs = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    shape = tuple(inputs[0].shape) if len(inputs) == 1 and isinstance(inputs[0], torch.Tensor) else ()
    if len(shape) != 4 or not all(isinstance(side, int) for side in shape[1:]):
        found = f"{len(inputs)} inputs" if len(inputs) != 1 else f"an input of shape {list(shape)}"
        raise SourceError(f"{file} takes {found}: a classifier takes one image tensor [batch, channels, height, width]")
    if isinstance(shape[0], int):
        raise SourceError(f"{file} reads batches of {shape[0]} alone: {FIXED}")
    if any(node.target is torch.ops.aten.convolution.default for node in program.graph.nodes):
        raise SourceError(f"{file} was decomposed into core ops: save it as torch.export.export gives it")
    module = program.module(check_guards=False)
    assert isinstance(module, fx.GraphModule)
    # it refuses to be set to eval mode; the same graph in a plain module does not
    return fx.GraphModule(module, module.graph), (shape[1], shape[2], shape[3])


def _refuse_code(file: Path) -> None:
    """Refuse a program with objects that only unpickling would bring back, or sizes beyond sums and products.

    Both would run any code that is in them: torch reads sizes by `sympy.sympify`, which evaluates them.
    """
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if not any(name.endswith("archive_format") for name in names):
            raise SourceError(f"{file} is not an exported program: write it with torch.export.save")
        for name in names:
            if name.endswith(("_weights_config.json", "_constants_config.json")):
                entries = json.loads(archive.read(name))["config"].values()
                if any(entry["use_pickle"] or entry["tensor_meta"] is None for entry in entries):
                    raise SourceError(f"{file} holds pickled objects, which are not read: export plain tensors alone")
            if "/models/" in name and not all(map(_is_size, _sizes(json.loads(archive.read(name))))):
                raise SourceError(f"{file} has sizes that are worked out otherwise than by sums and products")
            if "/sample_inputs/" in name:  # read without this, where it does not hold plain tensors, by unpickling
                torch.load(io.BytesIO(archive.read(name)), weights_only=True)


def _is_size(text: object) -> bool:
    return re.fullmatch(rf"(?:{_ATOM}|Add\(|Mul\(|[ ,)])*", str(text)) is not None


def _sizes(value: object) -> Iterator[object]:
    """Go through every size that a program's JSON writes as an expression."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        if key == "expr_str":
            yield inner
        yield from _sizes(inner)


_OTHERS = {".onnx", ".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pkl"}


def explain_file(file: Path) -> str | None:
    """Say what a file that names no model is, and the way from there to one; None where nothing is known of it.

    >>> explain_file(Path("no_such.onnx"))
    'there is no file no_such.onnx'
    """
    suffix = file.suffix.lower()
    if suffix in _OTHERS and not file.exists():
        return f"there is no file {file}"
    if suffix == ".onnx":
        return f"{file} is an ONNX file, which is not read: name the PyTorch model it was made of, as file.py:callable"
    if is_torchscript(file):
        return (
            f"{file} is TorchScript, which cannot be captured: name the PyTorch model that it was made of, as "
            f"file.py:callable, with the weights torch.save(torch.jit.load({str(file)!r}).state_dict(), 'weights.pt')"
        )
    if suffix in _OTHERS:
        return (
            f"{file} holds weights at best, and no network: name the network (file.py:callable, zoo:NAME, "
            f"torchvision:NAME, timm:NAME) and give this file as its weights; an exported program ends in .pt2"
        )
    if suffix == ".py":
        return f"{file} names a file alone: write {file}:callable, the function in it that builds the model"
    if suffix in {".h5", ".keras", ".pb", ".tflite"}:
        return f"{file} is no PyTorch model: only those can be captured"
    return None
