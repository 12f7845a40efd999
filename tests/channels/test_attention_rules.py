"""Products of tensors: what is contracted is tied to its partner, heads go whole, masks follow the scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional as F

from modellego.capture import capture
from modellego.channels import ChannelMap, RuleContext, analyse
from modellego.channels.attention_rules import product

from ..cut.mechanisms import Net

Ids = NDArray[np.int64]


def traced_product() -> tuple[RuleContext, fx.Node]:
    """Return a walk, and a node that stands for the product."""
    graph = fx.Graph()
    node = graph.call_function(torch.ops.aten.matmul.default, (graph.placeholder("a"), graph.placeholder("b")))
    return RuleContext(fx.GraphModule(nn.Module(), graph)), node


@st.composite
def factors(draw: st.DrawFn) -> tuple[int, Ids, Ids]:
    """Draw the ids of `[h, m, k]` and `[h, k, n]`, varying along some axes: each channel at one place only, or none."""
    h, m, k, n = (draw(st.integers(1, 3)) for _ in range(4))
    arrays, count = [], 0
    for shape in ((h, m, k), (h, k, n)):
        small = [size if draw(st.booleans()) else 1 for size in shape]
        ids = np.full(small, -1, dtype=np.int64)
        if draw(st.booleans()):
            ids = np.arange(count, count + ids.size, dtype=np.int64).reshape(small)
            count += ids.size
        arrays.append(ids)
    return count, arrays[0], arrays[1]


@given(factors())
def test_what_is_contracted_is_tied_to_its_partner_and_heads_go_whole(drawn: tuple[int, Ids, Ids]) -> None:
    count, a, b = drawn
    walk, node = traced_product()
    walk.ties.fresh(count)
    made = product(walk, node, a, b)
    labels = np.append(walk.ties.close(), -1)
    pinned = set(labels[np.concatenate([np.zeros(0, dtype=np.int64), *walk.ties.pins])].tolist())
    h, k = max(a.shape[0], b.shape[0]), max(a.shape[2], b.shape[1])
    m, n = a.shape[1], b.shape[2]
    left, right = np.broadcast_to(labels[a], (h, m, k)), np.broadcast_to(labels[b], (h, k, n))
    result = np.broadcast_to(labels[made], (h, m, n))
    contracted = a.shape[2] > 1 or b.shape[1] > 1
    for i, j, q in np.ndindex(h, m, n):
        pairs = list(zip(left[i, j], right[i, :, q], strict=True))
        if contracted:
            assert all(x == y or x < 0 or y < 0 for x, y in pairs)
            for x, y in pairs:  # what meets no channel cannot go
                assert (x < 0) == (y < 0) or max(x, y) in pinned or (a.shape[2] == 1) != (b.shape[1] == 1)
        for group in (left[i, j, 0], right[i, 0, q]):
            if result[i, j, q] >= 0 and group >= 0 and contracted:
                assert result[i, j, q] == group


def attending(attend: Callable[[Any, Tensor, Tensor, Tensor], Tensor], heads: int = 2, **parts: Any) -> ChannelMap:
    """Analyse attention over 16 positions with queries, keys and values of eight channels in heads."""

    def body(m: Any, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        q, k, v = (layer(x).view(x.shape[0], 16, heads, 8 // heads).transpose(1, 2) for layer in (m.q, m.k, m.v))
        return attend(m, q, k, v).transpose(1, 2).reshape(x.shape[0], 16, 8).mean(1)

    layers = {name: nn.Linear(8, 8) for name in "qkv"}
    return analyse(capture(Net(body, **layers, **parts), (3, 4, 4)))


def fused(m: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def by_hand(m: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-2, -1)).softmax(-1) @ v


@pytest.mark.parametrize("attend", [fused, by_hand])
def test_a_head_goes_with_its_queries_keys_and_values(attend: Callable[..., Tensor]) -> None:
    channels = attending(attend)
    rows = [channels.layer_out[name].reshape(2, 4) for name in "qkv"]
    for row in rows:
        np.testing.assert_array_equal(row, np.broadcast_to(rows[0][:, :1], (2, 4)))
    assert rows[0][0, 0] != rows[0][1, 0]
    assert channels.cuttable[rows[0]].all()


@pytest.mark.parametrize("attend", [fused, by_hand])
def test_with_one_head_queries_go_with_keys_and_values_by_themselves(attend: Callable[..., Tensor]) -> None:
    channels = attending(attend, heads=1)
    q, k, v = (channels.layer_out[name] for name in "qkv")
    np.testing.assert_array_equal(q, k)
    assert len(np.unique(q)) == len(np.unique(v)) == 8
    assert not np.isin(v, q).any()
    assert channels.cuttable[[*q, *v]].all()


def test_a_learned_bias_of_each_head_goes_with_the_head() -> None:
    def attend(m: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=m.bias)

    channels = attending(attend, bias=torch.rand(2, 16, 16))
    (name,) = (n for n in channels.ids if "bias" in n)
    np.testing.assert_array_equal(channels.ids[name].ravel(), channels.layer_out["q"][[0, 4]])


def test_a_mask_worked_out_of_channels_is_tied_to_the_heads() -> None:
    def attend(m: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = m.bias(q.transpose(1, 2).reshape(q.shape[0], 16, 8)).transpose(1, 2)[:, :, None]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    channels = attending(attend, bias=nn.Linear(8, 2))
    np.testing.assert_array_equal(channels.layer_out["bias"], channels.layer_out["q"][[0, 4]])


def test_a_product_with_a_constant_matrix_keeps_channels_whole() -> None:
    channels = analyse(capture(Net(lambda m, x: x.mean((2, 3)) @ m.w, w=torch.rand(8, 8)), (3, 4, 4)))
    assert not channels.cuttable[channels.layer_out["stem.0"]].any()
    assert "a product with a constant matrix" in channels.pinned.values()


def test_a_product_with_a_vector_keeps_channels_whole() -> None:
    channels = analyse(capture(Net(lambda m, x: x.flatten(2) @ m.w, w=torch.rand(16)), (3, 4, 4)))
    assert not channels.cuttable[channels.layer_out["stem.0"]].any()
    assert "a product with a vector" in channels.pinned.values()


def test_channels_multiplied_with_positions_are_kept_whole() -> None:
    """`[16 positions, 8] @ [8, 16 positions]` where the 8 of the second are positions: they are no partners."""

    def body(m: Any, x: Tensor) -> Tensor:
        places = m.a(x[:, :, :2].flatten(2)).mean(1, keepdim=True).transpose(1, 2)
        return (x.flatten(2).transpose(1, 2) @ places).mean(1).expand(-1, 8)

    channels = analyse(capture(Net(body, a=nn.Linear(8, 8)), (3, 4, 4)))
    assert not channels.cuttable[channels.layer_out["stem.0"]].any()
    assert "multiplied with a tensor whose positions are no channels" in channels.pinned.values()


def test_a_table_of_pairs_too_large_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modellego.channels.attention_rules._LARGEST_TABLE", 7)
    channels = attending(fused, heads=1)
    assert not channels.cuttable[channels.layer_out["q"]].any()
    assert "a product over several channel axes" in channels.pinned.values()
