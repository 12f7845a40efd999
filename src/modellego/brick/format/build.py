"""Bricks to and from documents, nested ones included: tensors by full name, and the ties between them."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from modellego.brick.format.document import (
    AssembledDocument,
    JointDocument,
    LeafDocument,
    LinearDocument,
    VectorDocument,
)
from modellego.brick.format.graph import Expected, build_network, encode_network, expected_tensors
from modellego.brick.format.layers import FLOATS
from modellego.brick.format.limits import Limits
from modellego.brick.info import BrickInfo
from modellego.brick.joint import Joint
from modellego.brick.model import Assembled, Brick
from modellego.errors import AssemblyError, FormatError


def encode_brick(
    brick: Brick | Assembled,
) -> tuple[LeafDocument | AssembledDocument, dict[str, torch.Tensor]]:
    """Return a brick's document and the tensors to write, each tensor once.

    Raises:
        FormatError: something in the brick is not on the closed lists or has no place in the format.
    """
    document, tensors = _encode(brick)
    first: dict[tuple[object, ...], str] = {}
    ties: dict[str, str] = {}
    for name, tensor in tensors.items():
        original = first.setdefault(_identity(tensor), name)
        if original != name:
            ties[name] = original
    return document.model_copy(update={"ties": ties}), {k: t for k, t in tensors.items() if k not in ties}


def _identity(tensor: torch.Tensor) -> tuple[object, ...]:
    """What two names of one tensor share: the object, or the very same memory seen the same way."""
    if tensor.numel() == 0 or tensor.device.type == "meta":
        return (id(tensor),)
    kind = isinstance(tensor, nn.Parameter)
    return (kind, tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def _encode(brick: Brick | Assembled) -> tuple[LeafDocument | AssembledDocument, dict[str, torch.Tensor]]:
    fields = {name: getattr(brick.info, name) for name in BrickInfo.model_fields}
    if isinstance(brick, Brick):
        network, tensors = encode_network(brick.network)
        return LeafDocument.model_validate(fields | {"network": network}), tensors
    tensors, inner = {}, []
    for i, child in enumerate(brick.bricks):
        if not isinstance(child, Brick | Assembled):
            raise FormatError(f"brick {i} is a {type(child).__name__}; only bricks can be saved")
        document, its_tensors = _encode(child)
        inner.append(document)
        tensors |= {f"bricks.{i}.{k}": t for k, t in its_tensors.items()}
    joint, its_tensors = _encode_joint(brick.joint)
    tensors |= {f"joint.{k}": t for k, t in its_tensors.items()}
    return AssembledDocument.model_validate(fields | {"bricks": tuple(inner), "joint": joint}), tensors


def _encode_joint(joint: Joint) -> tuple[JointDocument, dict[str, torch.Tensor]]:
    def vector(values: torch.Tensor | None) -> VectorDocument | None:
        return (
            None if values is None else VectorDocument.model_validate({"length": len(values), "dtype": _name(values)})
        )

    linear = None
    if joint.linear is not None:
        weight, bias = joint.linear.weight, joint.linear.bias is not None
        sizes = {"in_features": weight.shape[1], "out_features": weight.shape[0]}
        linear = LinearDocument.model_validate({**sizes, "bias": bias, "dtype": _name(weight)})
    merge = None if joint.merge is None else [list(group) for group in joint.merge]
    reads = None if joint.reads is None else list(joint.reads)
    scale, shift = vector(joint.scale), vector(joint.shift)
    document = JointDocument(linear=linear, scale=scale, shift=shift, merge=merge, reads=reads)
    return document, dict(joint.named_parameters(remove_duplicate=False))


def _name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def expected_of(document: LeafDocument | AssembledDocument, inner: bool = False) -> dict[str, Expected]:
    """Return every tensor a document asks for under its full name, tied ones included, without using memory.

    Raises:
        FormatError: layers that cannot be built, or ties that do not fit.
    """
    if inner and document.ties:
        raise FormatError("only the outermost brick may name ties")
    if isinstance(document, LeafDocument):
        wanted = expected_tensors(document.network, 2 if document.inputs == "graph" else 1)
    else:
        wanted = {}
        for i, child in enumerate(document.bricks):
            with _inside(f"bricks.{i}"):
                wanted |= {f"bricks.{i}.{k}": e for k, e in expected_of(child, inner=True).items()}
        wanted |= {f"joint.{k}": e for k, e in _expected_joint(document.joint).items()}
    for name, original in document.ties.items():
        if name not in wanted or original not in wanted or original in document.ties:
            raise FormatError(f"the tie {name} -> {original} does not lead from one of the brick's tensors to another")
        if wanted[name] != wanted[original]:
            raise FormatError(f"{name} and {original} are tied but differ in shape, dtype or kind")
    return wanted


def _expected_joint(joint: JointDocument) -> dict[str, Expected]:
    wanted: dict[str, Expected] = {}
    for name, vector in (("scale", joint.scale), ("shift", joint.shift)):
        if vector is not None:
            wanted[name] = Expected(FLOATS[vector.dtype], (vector.length,), True)
    if joint.linear is not None:
        dtype, rows = FLOATS[joint.linear.dtype], joint.linear.out_features
        wanted["linear.weight"] = Expected(dtype, (rows, joint.linear.in_features), True)
        if joint.linear.bias:
            wanted["linear.bias"] = Expected(dtype, (rows,), True)
    return wanted


def build_brick(
    document: LeafDocument | AssembledDocument, tensors: Mapping[str, torch.Tensor], limits: Limits
) -> Brick | Assembled:
    """Build the brick of a document in eval mode around tensors that fit `expected_of`, ties apart.

    All of its networks together must stay within `limits`.

    Tied names come to hold the same parameter; every parameter wants gradients.

    Raises:
        FormatError: whatever `build_network` and the joint refuse.
    """
    held: dict[str, torch.Tensor] = {}
    for name, expected in expected_of(document).items():
        if name not in document.ties:
            held[name] = nn.Parameter(tensors[name]) if expected.parameter else tensors[name]
    held |= {name: held[original] for name, original in document.ties.items()}
    return _build(document, held, limits)


def _build(
    document: LeafDocument | AssembledDocument, tensors: Mapping[str, torch.Tensor], limits: Limits
) -> Brick | Assembled:
    info = BrickInfo.model_validate({name: getattr(document, name) for name in BrickInfo.model_fields})
    if isinstance(document, LeafDocument):
        return Brick(build_network(document.network, tensors, document.input_shape or (), limits), info)
    parts: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)  # "0", "1", ... and "joint"
    for name, tensor in tensors.items():
        part, _, rest = name.removeprefix("bricks.").partition(".")
        parts[part][rest] = tensor
    bricks = []
    for i, child in enumerate(document.bricks):
        with _inside(f"bricks.{i}"):
            bricks.append(_build(child, parts[str(i)], limits))
    merge = document.joint.merge
    if merge is not None and len(merge) != len(document.classes):  # before a joint takes its time with them
        raise FormatError(f"the joint merges columns into {len(merge)} groups for {len(document.classes)} classes")
    with _inside("joint"):
        return Assembled(bricks, _build_joint(document.joint, parts["joint"]), info)


@contextlib.contextmanager
def _inside(place: str) -> Iterator[None]:
    """Say in which part of an assembled brick something was refused."""
    try:
        yield
    except (FormatError, AssemblyError) as error:
        raise FormatError(f"{place}: {error}") from error


def _build_joint(document: JointDocument, tensors: Mapping[str, torch.Tensor]) -> Joint:
    linear = None
    if document.linear is not None:
        with torch.device("meta"):
            linear = nn.Linear(document.linear.in_features, document.linear.out_features, bias=document.linear.bias)
        linear.register_parameter("weight", tensors["linear.weight"])  # type: ignore[arg-type]
        if document.linear.bias:
            linear.register_parameter("bias", tensors["linear.bias"])  # type: ignore[arg-type]
    return Joint(linear, tensors.get("scale"), tensors.get("shift"), document.merge, document.reads)
