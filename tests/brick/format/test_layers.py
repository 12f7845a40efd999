"""Layers in the file: described in full, rebuilt the same, refused where the format cannot hold them."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from modellego.brick.format.layers import LayerDocument, encode_layer, meta_layer
from modellego.capture.layers import LAYERS
from modellego.errors import FormatError

EXAMPLES: list[nn.Module] = [
    nn.Conv1d(4, 6, 3, groups=2, padding="same"),
    nn.Conv2d(4, 6, (1, 3), stride=(2, 1), dilation=2, bias=False),
    nn.Conv3d(2, 2, 2, padding=1),
    nn.Linear(3, 2, bias=False),
    nn.BatchNorm1d(3, momentum=None),
    nn.BatchNorm2d(3, eps=1e-3, track_running_stats=False),
    nn.BatchNorm3d(3, affine=False),
    nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
    nn.LayerNorm((3, 4), bias=False),
    nn.GroupNorm(2, 4, affine=False),
    nn.PReLU(3),
    nn.Dropout(0.3),
    nn.Dropout(0.3, inplace=True),
    nn.Dropout2d(0.3),
    nn.AlphaDropout(0.3),
]


@pytest.mark.parametrize("layer", EXAMPLES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_layers_come_back_with_their_options_shapes_and_dtypes(layer: nn.Module, dtype: torch.dtype) -> None:
    layer = layer.to(dtype)
    document = LayerDocument.model_validate_json(encode_layer(layer).model_dump_json(), strict=True)
    rebuilt = meta_layer(document)
    assert str(rebuilt) == str(layer).replace(", inplace=True", ", inplace=False")
    assert {k: (t.shape, t.dtype) for k, t in rebuilt.state_dict().items()} == {
        k: (t.shape, t.dtype) for k, t in layer.state_dict().items()
    }


def test_every_layer_of_the_closed_list_has_an_example() -> None:
    assert {type(layer).__name__ for layer in EXAMPLES} == set(LAYERS)


def _with_extra(layer: nn.Module) -> nn.Module:
    layer.register_parameter("gain", nn.Parameter(torch.ones(2)))
    return layer


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        (nn.Conv2d(2, 2, 3, padding_mode="circular", padding=1), "options the format does not hold"),
        (nn.LSTM(2, 2), "closed list"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "closed list"),
        (_with_extra(nn.Linear(2, 2)), "options the format does not hold"),
    ],
    ids=["padding_mode", "not listed", "parametrised", "a tensor more"],
)
def test_layers_the_format_cannot_hold_are_refused(layer: nn.Module, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        encode_layer(layer)


def test_a_layer_of_two_dtypes_is_refused() -> None:
    layer = nn.Linear(2, 2)
    layer.bias.data = layer.bias.data.double()
    with pytest.raises(FormatError, match="mixes"):
        encode_layer(layer)


LAYER_NORM = {"normalized_shape": [2], "eps": 0, "elementwise_affine": True, "bias": True}
LINEAR = {"in_features": 2, "out_features": 2, "bias": True}


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Sequential", "arguments": {}, "dtype": None},
        {"type": "Linear", "arguments": LINEAR | {"device": "cuda"}, "dtype": "float32"},
        {"type": "Linear", "arguments": {"in_features": 2, "out_features": 2}, "dtype": "float32"},
        {"type": "Linear", "arguments": LINEAR | {"in_features": 0}, "dtype": "float32"},
        {"type": "Linear", "arguments": LINEAR | {"in_features": -1}, "dtype": "float32"},
        {"type": "Linear", "arguments": LINEAR | {"in_features": 10**12}, "dtype": "float32"},
        {"type": "Linear", "arguments": LINEAR | {"in_features": True}, "dtype": "float32"},
        {"type": "Linear", "arguments": LINEAR | {"in_features": [2]}, "dtype": "float32"},
        {"type": "Linear", "arguments": LINEAR | {"bias": "yes"}, "dtype": "float32"},
        {"type": "Linear", "arguments": LINEAR, "dtype": "int8"},
        {"type": "Linear", "arguments": LINEAR, "dtype": "float33"},
        {"type": "Dropout", "arguments": {"p": 1.5}, "dtype": None},
        {"type": "Dropout", "arguments": {"p": "0.5"}, "dtype": None},
        {"type": "LayerNorm", "arguments": LAYER_NORM | {"normalized_shape": [2] * 9}, "dtype": "float32"},
        {"type": "Dropout", "arguments": {"p": 0.5}, "dtype": None, "code": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_absurd_layers_are_refused_on_reading(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LayerDocument.model_validate(document)


def test_arguments_that_do_not_fit_one_another_are_refused() -> None:
    arguments = encode_layer(nn.Conv2d(4, 4, 3)).arguments | {"groups": 3}
    with pytest.raises(FormatError, match="cannot be built"):
        meta_layer(LayerDocument(type="Conv2d", arguments=arguments, dtype="float32"))


def test_a_huge_layer_takes_no_memory_before_its_weights_are_seen() -> None:
    arguments = LINEAR | {"in_features": 2**24, "out_features": 2**24}
    layer = meta_layer(LayerDocument(type="Linear", arguments=arguments, dtype="float32"))
    assert all(p.is_meta for p in layer.parameters())


def test_parameters_need_a_dtype() -> None:
    with pytest.raises(FormatError, match="dtype"):
        meta_layer(LayerDocument(type="Linear", arguments=LINEAR, dtype=None))
