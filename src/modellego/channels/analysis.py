"""Walk a network once, give every channel an integer id, and close the ties into channel groups."""

import numpy as np
from torch import fx

from modellego.capture.joined import joined_at
from modellego.capture.network import Network
from modellego.capture.ops import op_name
from modellego.channels.arrays import compress, expand_axes, no_channels, varying
from modellego.channels.channel_map import ChannelMap, Ids, KeepMask, Reading
from modellego.channels.context import RuleContext
from modellego.channels.rules import rule_of
from modellego.channels.structure import argument
from modellego.channels.ties import look_up, make_rectangular

# Ops that would need new arguments if the axis they work on were cut: that axis stays whole.
_FIXED_AXIS = ("select.int", "unbind.int", "index.Tensor", "roll.default", "channel_shuffle.default",
               "repeat_interleave.self_int", "unfold.default")  # fmt: skip


def analyse(network: Network) -> ChannelMap:
    """Find which channels of a network must stay or go together, and which may be cut.

    Integer ids are pushed through the graph and ties closed by connected components (docs/exactness.md).

    >>> import torch
    >>> from modellego.capture import capture
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Flatten(), torch.nn.Linear(16, 2))
    >>> found = analyse(capture(net, (3, 2, 2)))
    >>> found.summary()
    {'groups': 6, 'cuttable_groups': 4, 'channels': 6, 'cuttable_channels': 4}
    """
    context = RuleContext(network.graph)
    output: fx.Node | None = None
    for node in network.graph.graph.nodes:
        if node.op == "placeholder":
            context.ids[node] = no_channels(len(node.meta["shape"]))
        elif node.op == "get_attr":
            context.ids[node] = None
        elif node.op == "output":
            output = node.args[0]
        else:
            context.ids[node] = rule_of(node, context)(context, node)
    assert output is not None
    return _close(context, output)


def _close(context: RuleContext, output: fx.Node) -> ChannelMap:
    joined = joined_at(output)
    logits = output if joined is None else joined.logits
    logit_ids = expand_axes(context.ids_of(logits), logits.meta["shape"], (1,)).reshape(-1)
    known = [
        a for found in context.ids.values() for a in (found if isinstance(found, list) else [found]) if a is not None
    ]
    tables = list({a.tobytes() + str(a.shape).encode(): a for a in known if len(varying(a)) > 1}.values())
    labels = make_rectangular(context.ties, tables, context.groups)
    used = np.unique(labels) if labels.size else labels
    labels = np.searchsorted(used, labels).astype(np.int64)
    n_groups = int(used.size)
    cuttable = np.ones(n_groups, dtype=np.bool_)
    for pins in context.ties.pins:
        cuttable[labels[pins]] = False
    logit_groups = look_up(labels, logit_ids)
    cuttable[logit_groups[logit_groups >= 0]] = False
    free = bool((logit_groups >= 0).all()) and np.unique(logit_groups).size == logit_groups.size
    pinned_groups = labels[np.concatenate(context.ties.pins)] if context.ties.pins else np.zeros(0, dtype=np.int64)
    # logits that something else reads (a layer, a softmax, attention over them) are picked at the end, not cut
    inner = [look_up(labels, i) for i in [*context.layer_in.values(), *context.reduced]]
    read_again = np.concatenate([*inner, pinned_groups]) if inner else pinned_groups
    free = free and joined is None and not np.isin(logit_groups, read_again).any()
    for name in joined.nodes if joined is not None else ():
        context.approximate.pop(name, None)  # none of what is joined is cut
    _pin_empty_boxes(cuttable, labels, context)
    _pin_fixed_axes(cuttable, labels, context)

    def sets(ids: Ids) -> Ids:
        return look_up(labels, ids)

    return ChannelMap(
        ids={n.name: compress(sets(a)) for n, a in context.ids.items() if isinstance(a, np.ndarray)},
        parts={n.name: [compress(sets(a)) for a in f] for n, f in context.ids.items() if isinstance(f, list)},
        n_groups=n_groups,
        cuttable=cuttable,
        readers=[
            Reading(n.name, str(n.target), n.all_input_nodes[0].name, sets(i), sets(o)) for n, i, o in context.readers
        ],
        layer_in={k: sets(v) for k, v in context.layer_in.items()},
        layer_out={k: sets(v) for k, v in context.layer_out.items()},
        logit_groups=logit_groups if free else None,
        approximate=context.approximate,
        pinned=context.pinned,
    )


def _pin_empty_boxes(cuttable: KeepMask, labels: Ids, context: RuleContext) -> None:
    """A tensor all of whose channels are one group cannot lose that group: pin it."""
    for node, found in context.ids.items():
        for ids in found if isinstance(found, list) else [found]:
            if ids is None or not (ids >= 0).all():
                continue
            sets = np.unique(look_up(labels, ids))
            if sets.size == 1:
                if cuttable[sets[0]]:
                    context.pinned.setdefault(node.name, "all its channels are tied together")
                cuttable[sets] = False


def _pin_fixed_axes(cuttable: KeepMask, labels: Ids, context: RuleContext) -> None:
    """Keep whole the axis along which an op picks positions by number."""
    for node in context.ids:
        name = (op_name(node.target) or "").removeprefix("aten.") if node.op == "call_function" else ""
        source = node.args[0] if node.args else None
        if name not in _FIXED_AXIS or not isinstance(source, fx.Node):
            continue
        sets = compress(look_up(labels, context.ids_of(source)))
        whole = name in ("index.Tensor", "roll.default", "unfold.default", "channel_shuffle.default")
        dim = None if whole else argument(node, "dim", 0)
        axes = set(varying(sets)) if dim is None else {int(dim) % sets.ndim} & set(varying(sets))
        if name == "roll.default":
            axes &= {int(d) % sets.ndim for d in argument(node, "dims", list(range(sets.ndim)))}
        elif name == "index.Tensor":
            axes &= {i for i, index in enumerate(node.args[1]) if index is not None}  # type: ignore[arg-type]
        if axes:
            cuttable[np.unique(sets[sets >= 0])] = False
            context.pinned[node.name] = f"{name} picks positions along the channels"
