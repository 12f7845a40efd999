"""Layers in a brick's file: checked arguments, and layers without memory built from them.

A layer is first built on the meta device. Its parameters' shapes are compared with what the weights file
holds before memory is given out, so a file cannot ask for more memory than it has bytes.
"""

from collections.abc import Callable
from typing import Any

import torch
from pydantic import field_validator, model_validator
from torch import nn

from modellego.brick.strict import Strict
from modellego.capture.layers import LAYERS, describe_layer
from modellego.errors import FormatError

FLOATS: dict[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}
LayerArgument = None | bool | int | float | str | list[int]
_LARGE = 2**24


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: type(v) is int and low <= v <= high


def _is_number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: type(v) in (int, float) and low <= v <= high


def _is_window(low: int, high: int) -> Callable[[Any], bool]:
    one = _is_int(low, high)
    return lambda v: one(v) or (isinstance(v, list) and 1 <= len(v) <= 3 and all(map(one, v)))


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 4 and all(map(_is_int(1, _LARGE), value))


_Rule = tuple[Callable[[Any], bool], str]
_COUNT: _Rule = (_is_int(1, _LARGE), f"a whole number from 1 to {_LARGE}")
_WINDOW: _Rule = (_is_window(1, 65536), "one to three whole numbers from 1 to 65536")
_FLAG: _Rule = (lambda v: isinstance(v, bool), "true or false")
_RULES: dict[str, _Rule] = {
    "kernel_size": _WINDOW,
    "stride": _WINDOW,
    "dilation": _WINDOW,
    "padding": (
        lambda v: v in ("same", "valid") or _is_window(0, 65536)(v),
        "one to three whole numbers from 0 to 65536, 'same' or 'valid'",
    ),
    "bias": _FLAG,
    "affine": _FLAG,
    "elementwise_affine": _FLAG,
    "track_running_stats": _FLAG,
    "eps": (_is_number(0, 1e3), "a number from 0 to 1000"),
    "momentum": (lambda v: v is None or _is_number(0, 1)(v), "a number from 0 to 1, or null"),
    "p": (_is_number(0, 1), "a number from 0 to 1"),
    "normalized_shape": (_is_size, "one to four whole numbers"),
}  # every other argument is a count


class LayerDocument(Strict):
    """A layer of the closed list: its type, all arguments of its constructor, its parameters' dtype."""

    type: str
    arguments: dict[str, LayerArgument]
    dtype: str | None

    @field_validator("type")
    @classmethod
    def _on_the_list(cls, value: str) -> str:
        if value not in LAYERS:
            raise ValueError(f"layers of type {value[:80]!r} are not on the closed list: {', '.join(LAYERS)}")
        return value

    @field_validator("dtype")
    @classmethod
    def _a_float(cls, value: str | None) -> str | None:
        if value is not None and value not in FLOATS:
            raise ValueError(
                f"{value[:80]!r} is not a dtype of a layer: {', '.join(FLOATS)}, or null without parameters"
            )
        return value

    @model_validator(mode="after")
    def _arguments_fit(self) -> "LayerDocument":
        keys = LAYERS[self.type][1]
        if set(self.arguments) != set(keys):
            raise ValueError(
                f"{self.type} takes exactly the arguments {', '.join(keys)}; got {', '.join(self.arguments)}"[:400]
            )
        for key, value in self.arguments.items():
            fits, wanted = _RULES.get(key, _COUNT)
            if not fits(value):
                raise ValueError(f"{key} of {self.type} must be {wanted}; got {str(value)[:60]}")
        return self


# the layers without the drawing of first weights, which takes most of the time and is for nothing
_UNDRAWN: dict[str, type[nn.Module]] = {
    name: type(name, (cls,), {"reset_parameters": lambda self: None}) for name, (cls, _) in LAYERS.items()
}


def meta_layer(document: LayerDocument) -> nn.Module:
    """Build a layer of the closed list without memory for its parameters (meta device), in eval mode.

    Raises:
        FormatError: the arguments do not fit one another.

    >>> meta_layer(encode_layer(nn.Linear(3, 2))).weight.device
    device(type='meta')
    """
    cls = LAYERS[document.type][0]
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in document.arguments.items()}
    try:
        with torch.device("meta"):
            layer = _UNDRAWN[document.type](**arguments)
        layer.__class__ = cls
    except Exception as error:  # whatever torch says of arguments that do not fit one another
        raise FormatError(
            f"a {document.type} cannot be built from {document.arguments}: {first_line(error)}"
        ) from error
    if any(p.is_floating_point() for p in layer.state_dict().values()):
        if document.dtype is None:
            raise FormatError(f"a {document.type} with parameters needs a dtype")
        if FLOATS[document.dtype] != torch.get_default_dtype():
            layer = layer.to(FLOATS[document.dtype])
    return layer.eval()


def encode_layer(layer: nn.Module) -> LayerDocument:
    """Describe a layer of the closed list for the file.

    Raises:
        FormatError: the layer is not on the list, or was built with an option that the format does not hold.

    >>> encode_layer(nn.Dropout(0.25))
    LayerDocument(type='Dropout', arguments={'p': 0.25}, dtype=None)
    """
    name, arguments = describe_layer(layer)
    dtypes = {t.dtype for t in layer.state_dict().values() if t.is_floating_point()}
    if len(dtypes) > 1:
        raise FormatError(
            f"a {name} mixes {', '.join(sorted(map(str, dtypes)))}: bring it to one dtype with .to(dtype)"
        )
    dtype = str(dtypes.pop()).removeprefix("torch.") if dtypes else None
    try:
        document = LayerDocument(type=name, arguments=arguments, dtype=dtype)
    except ValueError as error:
        raise FormatError(f"a {name} cannot be written to a brick: {first_line(error, 2)}") from error
    rebuilt = meta_layer(document)
    if _looks(rebuilt) != _looks(layer):
        raise FormatError(f"a {name} has options the format does not hold: {layer} would come back as {rebuilt}")
    return document


def _looks(layer: nn.Module) -> tuple[Any, ...]:
    """Everything about a layer that must survive, its values apart (working in place makes no difference)."""
    options = layer.extra_repr().replace("inplace=True", "inplace=False")
    return (
        options,
        {k: (t.shape, t.dtype) for k, t in layer.state_dict().items()},
        len(list(layer.children())),
    )


def first_line(error: BaseException, line: int = 0) -> str:
    """Return one line of an error's text, cut to a sentence's length."""
    lines = [text.strip() for text in str(error).splitlines() if text.strip()] or [type(error).__name__]
    return lines[min(line, len(lines) - 1)][:300]
