"""Cut a network as a plan says: a smaller graph of smaller layers, logits limited to a task."""

import copy
from typing import Any

import numpy as np
import torch
from torch import fx

from modellego.capture.network import Network
from modellego.capture.walk import attribute
from modellego.channels.channel_map import ChannelMap, KeepMask
from modellego.cut.plan import CutPlan
from modellego.cut.rewrite import kept_along, new_shape, rewrite
from modellego.cut.slicing import TensorSlicer, slice_layer
from modellego.devices import home_of


def cut(plan: CutPlan) -> Network:
    """Return a physically smaller network whose logits are those of the plan's task, in its order.

    Its output equals the source's, with the removed channels zeroed where they are read, on those logits (exactly but
    for the nodes in `plan.channels.approximate`). Nodes and layers keep their names; the source is left as it is.

    Raises:
        CutError: a grouped layer would keep unequal groups.

    >>> from modellego.capture import capture
    >>> from modellego.channels import analyse
    >>> from modellego.cut import plan_cut
    >>> net = capture(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 5)), (3,))
    >>> found = analyse(net)
    >>> keep = found.keep_all()
    >>> keep[found.layer_out["0"][:2]] = False
    >>> small = cut(plan_cut(net, found, keep, task=[4, 0]))
    >>> small.graph.get_submodule("2")
    Linear(in_features=2, out_features=2, bias=True)
    """
    network, channels, kept, task = plan.network, plan.channels, plan.kept, plan.task
    # which of the logits that are left, in the order wanted
    order = list(task) if channels.logit_groups is None else np.argsort(np.argsort(task)).tolist()

    slicer = TensorSlicer()
    root: dict[str, Any] = {}
    for path in {str(n.target): None for n in network.graph.graph.nodes if n.op == "call_module"}:
        layer = network.graph.get_submodule(path)
        if path in channels.layer_in:
            root[path] = slice_layer(
                path, layer, plan.mask(channels.layer_in[path]), plan.mask(channels.layer_out[path]), slicer
            )
        else:
            root[path] = _copy_stateless(layer, slicer)
    for node in network.graph.graph.nodes:
        if node.op == "get_attr" and str(node.target) not in root:
            root[str(node.target)] = _slice_constant(network, node, channels, kept, slicer)
    graph = fx.Graph()
    moved: dict[fx.Node, fx.Node] = {}
    for node in network.graph.graph.nodes:
        if node.op == "output":
            result = moved[node.args[0]]
            left = network.num_logits if channels.logit_groups is None else len(task)
            if order != list(range(left)):
                result = _select_logits(graph, root, result, order)
            graph.output(result)
            continue
        moved[node] = graph.node_copy(node, lambda n: moved[n])
        moved[node].meta = {k: v for k, v in node.meta.items() if k == "nn_module_stack"}
        _note_shape(node, moved[node], channels, kept)
        if node.op == "call_function":
            rewrite(node, moved[node], channels, kept, root)
    module = fx.GraphModule(root, graph)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    module.train(network.graph.training)
    module.to(home_of(network.graph))  # constants made here
    return Network(module, network.input_shape)


def _note_shape(old: fx.Node, new: fx.Node, channels: ChannelMap, kept: KeepMask) -> None:
    """Write a tensor's new shape at batch 1 into its node: to run the graph on fake tensors would take seconds."""
    if "value" in old.meta:
        new.meta["value"] = old.meta["value"]
    if "shape" in old.meta:
        ids = channels.ids.get(old.name)
        new.meta["shape"] = old.meta["shape"] if ids is None else new_shape(ids, kept, old.meta["shape"])


def _copy_stateless(layer: torch.nn.Module, slicer: TensorSlicer) -> torch.nn.Module:
    """Copy a layer none of whose weights lies along a channel axis (dropout, a single PReLU slope)."""
    copied = copy.deepcopy(layer)
    for key, parameter in layer.named_parameters(recurse=False):
        copied.register_parameter(key, slicer(parameter, {}))  # type: ignore[arg-type]
    return copied


def _slice_constant(
    network: Network, node: fx.Node, channels: ChannelMap, kept: KeepMask, slicer: TensorSlicer
) -> torch.Tensor:
    tensor = attribute(network.graph, str(node.target))
    ids = channels.ids.get(node.name)
    shape = tuple(tensor.shape)
    masks = {} if ids is None else {a: kept_along(ids, kept, shape, a) for a in range(ids.ndim) if ids.shape[a] > 1}
    return slicer(tensor, masks)


def _select_logits(graph: fx.Graph, root: dict[str, Any], logits: fx.Node, wanted: list[int]) -> fx.Node:
    root["task_logits"] = torch.tensor(wanted)
    index = graph.get_attr("task_logits")
    index.meta["shape"] = (len(wanted),)
    result = graph.call_function(torch.ops.aten.index_select.default, (logits, 1, index))
    result.meta["shape"] = (1, len(wanted))
    return result
