"""The rule of each op: how channels pass through it; a rule for an op from outside goes in by `add_rule`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import fx, nn

from modellego.capture.leaf import LEAF_RULES
from modellego.capture.ops import FAMILY, add_op, op_name
from modellego.channels.arrays import align, collapse, compress, no_channels, varying
from modellego.channels.attention_rules import matmul_rule, sdpa_rule
from modellego.channels.channel_map import Ids
from modellego.channels.context import RuleContext
from modellego.channels.layer_rules import LAYER_RULES
from modellego.channels.structure import argument, execute

Rule = Callable[[RuleContext, fx.Node], Any]
_OWN: dict[str, Rule] = {}  # by op; what its family does not tell


def add_rule(name: str, op: Callable[..., Any], rule: Rule) -> None:
    """Teach the analysis an op from outside: its name, the callable in the graph, and how channels pass through it.

    `rule(context, node)` returns the int64 ids of the node's result, an array that broadcasts against its shape at
    batch 1; `elementwise_rule`, `binary_rule` and the like serve as they are. The op also becomes loadable in this
    process.
    """
    add_op(name, op, next((family for family, known in _FAMILY_RULES.items() if known is rule), "opaque"))
    _OWN[name] = rule


def rule_of(node: fx.Node, context: RuleContext) -> Rule:
    """Return the rule of a node: by its layer's type, by its op's own rule, or by its op's family."""
    if node.op == "call_module":
        return LAYER_RULES[type(context.layer(node))]
    name = op_name(node.target) or ""
    return _OWN.get(name) or LEAF_RULES.get(name) or _FAMILY_RULES[FAMILY[name]]


def elementwise_rule(context: RuleContext, node: fx.Node) -> Any:
    """Channels pass through one tensor."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if context.is_constant(source):
        return no_channels(len(node.meta["shape"]))
    return context.ids_of(source)


def binary_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Channels that meet are tied; a constant adopts the ids of what it meets."""
    ndim = len(node.meta["shape"])
    sources = [n for n in node.all_input_nodes if "shape" in n.meta]
    tensors = [n for n in sources if not context.is_constant(n)]
    result = no_channels(ndim)
    for tensor in tensors:
        ids = align(context.ids_of(tensor), ndim)
        context.ties.tie(result, ids)
        result = np.where(result >= 0, result, ids)
    for tensor in tensors:  # now that all operands are known
        shape = (1,) * (ndim - len(tensor.meta["shape"])) + tuple(tensor.meta["shape"])
        _pin_unmatched(context, node, align(context.ids_of(tensor), ndim), shape, result)
    result = compress(result)
    for constant in (n for n in sources if n not in tensors):
        context.adopt(constant, result)
    return result


def _pin_unmatched(context: RuleContext, node: fx.Node, ids: Ids, shape: tuple[int, ...], other: Ids) -> None:
    """Where a tensor has positions but no channels along an axis that the other is cut along, the other stays whole."""
    axes = [a for a in varying(other) if shape[a] > 1]
    if axes and all(ids.shape[a] == 1 for a in axes) and (ids < 0).all():
        context.pin(node, other, "meets a tensor whose positions are no channels")
    elif axes and (ids < 0).any():
        a, b = np.broadcast_arrays(ids, other)
        context.pin(
            node,
            np.ascontiguousarray(b[(a < 0) & (b >= 0)]),
            "meets a tensor whose positions are no channels",
        )


def structural_rule(context: RuleContext, node: fx.Node) -> Any:
    """Positions are moved about: the op runs on the ids themselves."""
    sources = [n for n in node.all_input_nodes if "shape" in n.meta]
    name = op_name(node.target) or ""
    if all(context.is_constant(n) for n in sources):
        return None if "expand" in name or "shape" not in node.meta else no_channels(len(node.meta["shape"]))
    if "cat" in name or "stack" in name:
        _adopt_in_cat(context, node, sources)
    try:
        return execute(node, {n: context.ids_of(n) for n in sources})
    except (RuntimeError, ValueError, NotImplementedError, TypeError, IndexError):
        return _pin_structural(context, node)


def _pin_structural(context: RuleContext, node: fx.Node) -> Any:
    if "shape" in node.meta:
        return context.pin_inputs(node, f"{op_name(node.target)} cannot be followed")
    parts = [user for user in node.users if "shape" in user.meta]
    context.pin_inputs(node, f"{op_name(node.target)} cannot be followed")
    return [no_channels(len(parts[0].meta["shape"]))] * 64 if parts else []


def _adopt_in_cat(context: RuleContext, node: fx.Node, sources: list[fx.Node]) -> None:
    """A constant put beside a tensor (a class token) takes its ids along the other axes."""
    dim = int(argument(node, "dim", 0)) % len(node.meta["shape"])
    model = next((context.ids_of(n) for n in sources if not context.is_constant(n)), None)
    for source in sources:
        if context.is_constant(source) and model is not None and dim not in varying(model):
            context.adopt(source, model)


def spatial_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Positions along the last axes are pooled or resampled, channel by channel."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    ids = context.ids_of(source)
    axes = 1 if "1d" in str(node.target) else 3 if "3d" in str(node.target) else 2
    if op_name(node.target) == "aten.avg_pool3d.default" and ids.shape[-3] > 1:
        windowed = _window_over_channels(context, node, ids)
        if windowed is not None:
            return windowed
    result = context.collapse(ids, tuple(range(ids.ndim - axes, ids.ndim)))
    return [result, result] if "shape" not in node.meta else result  # type: ignore[return-value]


def _window_over_channels(context: RuleContext, node: fx.Node, ids: Ids) -> Ids | None:
    """Local response norm: a window slides along the channels, zeros padded beside them; it sees those left."""
    window = list(argument(node, "kernel_size"))
    stride, padding = argument(node, "stride") or [1], argument(node, "padding") or [0]
    if window[1:] != [1, 1] or any(s != 1 for s in stride) or any(padding) or varying(ids) != (ids.ndim - 3,):
        return None
    size, lead = ids.shape[-3] - window[0] + 1, window[0] // 2
    for beside in (ids[..., :lead, :, :], ids[..., lead + size :, :, :]):
        context.pin(node, beside, "zeros beside the channels")
    context.approximate[node.name] = "a window over channels: it slides over the channels that are left"
    return ids[..., lead : lead + size, :, :]


def reduction_rule(context: RuleContext, node: fx.Node) -> Any:
    """An axis is summed, averaged or normalised away.

    Along an axis that holds the only channels, the op works on the channels left over: exact for a sum, by definition
    for a mean, maximum or softmax. Along any other axis (branches stacked up) the positions are tied.
    """
    source = node.args[0]
    assert isinstance(source, fx.Node)
    ids = context.ids_of(source)
    dims = argument(node, "dim")
    every = tuple(range(ids.ndim))
    axes = (
        every
        if dims is None or dims == []
        else tuple(int(d) % ids.ndim for d in (dims if isinstance(dims, list | tuple) else [dims]))
    )
    name = (op_name(node.target) or "").removeprefix("aten.").split(".")[0].lstrip("_")
    outer = [a for a in varying(ids) if a not in axes]
    stays = name in ("softmax", "log_softmax", "cumsum")
    for axis in axes:
        if ids.shape[axis] == 1:
            continue
        context.reduced.append(ids[ids >= 0])
        if outer:
            ids = context.collapse(ids, (axis,))
            continue
        if name == "cumsum":
            context.pin(node, ids, "a running sum over channels")
        elif name != "sum":
            context.approximate[node.name] = f"{name} over channels: taken over the channels that are left"
        if not stays:
            ids = np.full_like(collapse(ids, (axis,)), -1)
    if stays:
        return ids
    if not argument(node, "keepdim", False):
        ids = np.squeeze(ids, axis=axes) if len(axes) < ids.ndim else no_channels(0)
    return ids if "shape" in node.meta else [ids, ids]


def pad_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Padding beside positions changes no channel; zeros put beside channels are channels of their own."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    ids = context.ids_of(source)
    pads = list(argument(node, "pad"))
    for i in range(len(pads) // 2):
        axis = ids.ndim - 1 - i
        before, after = int(pads[2 * i]), int(pads[2 * i + 1])
        if ids.shape[axis] == 1 or (before == 0 and after == 0):
            continue
        if before < 0 or after < 0 or len(varying(ids)) > 1:
            return context.pin_inputs(node, "pads or crops channels on several axes")  # type: ignore[no-any-return]
        shape = [1] * ids.ndim
        parts = [ids]
        for count, place in ((before, 0), (after, len(parts))):
            if count:
                shape[axis] = count
                parts.insert(place if place == 0 else len(parts), context.ties.fresh(count).reshape(shape))
        ids = np.concatenate(parts, axis=axis)
    return ids


def scalar_rule(context: RuleContext, node: fx.Node) -> Any:
    """Sizes carry no channels; taking one of several outputs takes its ids."""
    if op_name(node.target) == "operator.getitem" and isinstance(node.args[0], fx.Node):
        found = context.ids.get(node.args[0])
        if isinstance(found, list):
            return found[int(node.args[1])]  # type: ignore[arg-type]
    return no_channels(len(node.meta["shape"])) if "shape" in node.meta else None


def index_add_rule(context: RuleContext, node: fx.Node) -> Ids:
    """Rows are added up by an index, as graph networks gather messages: along an axis without channels they pass."""
    base, dim, _, source = node.args[:4]
    assert isinstance(base, fx.Node)
    assert isinstance(source, fx.Node)
    ids, axis = context.ids_of(source), int(dim)  # type: ignore[arg-type]
    if ids.shape[axis] > 1 or context.ids_of(base).shape[axis] > 1:
        return context.pin_inputs(node, "adds up channels by an index")  # type: ignore[no-any-return]
    if context.is_constant(base):
        context.adopt(base, ids)
        return ids
    if ((context.ids_of(base) < 0) != (ids < 0)).any():
        return context.pin_inputs(node, "meets a tensor whose positions are no channels")  # type: ignore[no-any-return]
    context.ties.tie(context.ids_of(base), ids)
    return ids


def constant_rule(context: RuleContext, node: fx.Node) -> Ids:
    """A new constant has no channels."""
    return no_channels(len(node.meta["shape"]))


def opaque_rule(context: RuleContext, node: fx.Node) -> Any:
    """Whatever touches this op is kept whole."""
    result = context.pin_inputs(node, f"{op_name(node.target)} is kept whole")
    if result is None or isinstance(result, list):
        users = [u for u in node.users if "shape" in u.meta]
        return [no_channels(len(users[0].meta["shape"]))] * 8 if users else None
    return result


def attention_rule(context: RuleContext, node: fx.Node) -> Any:
    """Products of tensors: heads are cut whole."""
    name = op_name(node.target) or ""
    if "scaled_dot_product" in name:
        return sdpa_rule(context, node)
    if "baddbmm" in name:
        return opaque_rule(context, node)
    return matmul_rule(context, node)


_FAMILY_RULES: dict[str, Rule] = {
    "elementwise": elementwise_rule,
    "binary": binary_rule,
    "spatial": spatial_rule,
    "structural": structural_rule,
    "reduction": reduction_rule,
    "matmul": attention_rule,
    "constant": constant_rule,
    "pad": pad_rule,
    "opaque": opaque_rule,
    "scalar": scalar_rule,
}

_OWN |= {"aten.index_add.default": index_add_rule, "aten.index_reduce.default": index_add_rule}

__all__ = ["Rule", "add_rule", "binary_rule", "elementwise_rule", "nn", "rule_of"]
