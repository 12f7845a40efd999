"""Matrix products of two tensors (attention): the contracted axes are tied, and a head's channels go together."""

import numpy as np
from torch import fx

from modellego.channels.arrays import align, collapse, compress, no_channels, varying
from modellego.channels.channel_map import Ids
from modellego.channels.context import RuleContext

_LARGEST_TABLE = 20_000_000


def matmul_rule(context: RuleContext, node: fx.Node) -> Ids:
    """`[..., m, k] @ [..., k, n]`, batched or not."""
    a, b = node.args[0], node.args[1]
    assert isinstance(a, fx.Node)
    assert isinstance(b, fx.Node)
    if len(a.meta["shape"]) < 2 or len(b.meta["shape"]) < 2:
        return context.pin_inputs(node, "a product with a vector")  # type: ignore[no-any-return]
    for constant in (a, b):
        if context.is_constant(constant):
            return context.pin_inputs(node, "a product with a constant matrix")  # type: ignore[no-any-return]
    return product(context, node, context.ids_of(a), context.ids_of(b))


def sdpa_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Scaled dot-product attention: `softmax(q k^T) v`, a mask added to the scores."""
    q, k, v = (n for n in node.args[:3])
    assert isinstance(q, fx.Node)
    assert isinstance(k, fx.Node)
    assert isinstance(v, fx.Node)
    scores = product(context, node, context.ids_of(q), np.swapaxes(context.ids_of(k), -1, -2))
    mask = node.args[3] if len(node.args) > 3 else node.kwargs.get("attn_mask")
    if isinstance(mask, fx.Node):
        if context.is_constant(mask):
            context.adopt(mask, scores)
        else:
            context.ties.tie(scores, align(context.ids_of(mask), scores.ndim))
    return product(context, node, scores, context.ids_of(v))


def product(context: RuleContext, node: fx.Node, a: Ids, b: Ids) -> Ids:
    """Return the ids of a product: contracted channels are tied to their partners, and whole heads to one another."""
    ndim = max(a.ndim, b.ndim)
    a, b = align(a, ndim), align(b, ndim)
    k_a, k_b = a.ndim - 1, b.ndim - 2
    if a.shape[k_a] > 1 or b.shape[k_b] > 1:
        left, right = a[..., :, :, None], b[..., None, :, :]
        if np.prod(np.broadcast_shapes(left.shape, right.shape), dtype=np.float64) > _LARGEST_TABLE:
            return context.pin_inputs(node, "a product over several channel axes")  # type: ignore[no-any-return]
        context.ties.tie(left, right)
        for ids, axis, partner in ((a, k_a, b), (b, k_b, a)):
            if ids.shape[axis] > 1 and (partner < 0).any():
                context.pin(node, ids, "multiplied with a tensor whose positions are no channels")
        a = _contract(context, a, k_a)
        b = _contract(context, b, k_b)
    context.ties.tie(a, b)
    a, b = np.broadcast_arrays(a, b)
    return compress(np.where(a >= 0, a, b))


def _contract(context: RuleContext, ids: Ids, axis: int) -> Ids:
    """Sum an axis away: it leaves no channel, or its head's where there are heads."""
    if ids.shape[axis] == 1:
        return ids
    if varying(ids) == (axis,):
        return np.full_like(collapse(ids, (axis,)), -1)
    return context.collapse(ids, (axis,))


__all__ = ["matmul_rule", "no_channels", "product", "sdpa_rule"]
