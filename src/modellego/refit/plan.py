"""The plan of a refit: which layers are fitted together, where, and to which tensor of the uncut network."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from modellego.capture.layers import WeightedLayer
from modellego.capture.network import Network
from modellego.leastsquares import fittable

aten = torch.ops.aten
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Site:
    """A call of a layer, and the batch norm that alone reads it, if any; `tail` is the last of the two nodes."""

    node: fx.Node
    layer: WeightedLayer
    norm: fx.Node | None
    tail: fx.Node


@dataclass(frozen=True)
class Stage:
    """Sites whose outputs, with the tensors `others`, add up to the tensor `match`; fitted when `at` is reached.

    `deferred` are the nodes that wait until then. `bounds` is what the only readers of `match` clip it to, if they
    do. `calls` are further calls of the same layer (shared weights).
    """

    sites: tuple[Site, ...]
    match: fx.Node
    others: tuple[fx.Node, ...]
    at: fx.Node
    deferred: tuple[fx.Node, ...]
    bounds: Bounds | None
    calls: tuple[fx.Node, ...] = ()


def make_plan(network: Network) -> list[Stage]:
    """Group the fittable layers of a (cut) network into stages, in graph order."""
    modules = dict(network.graph.named_modules())
    order = {node: i for i, node in enumerate(network.graph.graph.nodes)}
    calls: dict[int, list[fx.Node]] = {}
    for node in order:
        if node.op == "call_module" and fittable(modules[str(node.target)]):
            calls.setdefault(id(modules[str(node.target)].weight), []).append(node)
    norm_calls: dict[str, int] = {}
    for node in order:
        if node.op == "call_module":
            norm_calls[str(node.target)] = norm_calls.get(str(node.target), 0) + 1
    stages: list[Stage] = []
    sums: dict[fx.Node, list[Site]] = {}
    for nodes in calls.values():
        first = nodes[0]
        layer: WeightedLayer = modules[str(first.target)]
        if len(nodes) > 1:
            site = Site(first, layer, None, first)
            stages.append(Stage((site,), first, (), first, (), None, tuple(nodes[1:])))
            continue
        norm = _norm_behind(first, modules, norm_calls)
        site = Site(first, layer, norm, norm or first)
        top = _top_of_sum(site.tail)
        if top is site.tail:
            stages.append(_plain(site))
        else:
            sums.setdefault(top, []).append(site)
    for top, sites in sums.items():
        stages.extend(_sum_stages(top, sites, order))
    return sorted(stages, key=lambda s: order[s.at])


def _plain(site: Site) -> Stage:
    deferred = () if site.norm is None else (site.node,)
    return Stage((site,), site.tail, (), site.tail, deferred, _bounds(site.tail))


def _sum_stages(top: fx.Node, sites: list[Site], order: dict[fx.Node, int]) -> list[Stage]:
    leaves, inner = _leaves(top)
    joint = sites if all(getattr(s.layer, "groups", 1) == 1 for s in sites) else sites[-1:]
    plain = [_plain(s) for s in sites if s not in joint]
    others = tuple(leaf for leaf in leaves if all(leaf is not s.tail for s in joint))
    waiting = {n for s in joint for n in (s.node, s.norm) if n is not None} | set(inner)
    deferred = tuple(sorted(waiting - {top}, key=lambda n: order[n]))
    return [*plain, Stage(tuple(joint), top, others, top, deferred, _bounds(top))]


def _norm_behind(node: fx.Node, modules: dict[str, nn.Module], calls: dict[str, int]) -> fx.Node | None:
    """Return the batch norm (with running statistics, used once) that alone reads a node."""
    users = list(node.users)
    if len(users) != 1 or users[0].op != "call_module":
        return None
    norm = modules[str(users[0].target)]
    known = isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and norm.running_mean is not None
    channel_axis = 1 if not isinstance(modules[str(node.target)], nn.Linear) else len(node.meta["shape"]) - 1
    return users[0] if known and calls[str(users[0].target)] == 1 and channel_axis == 1 else None


def _is_sum(node: fx.Node) -> bool:
    """Whether a node is the plain sum of two tensors of its own shape."""
    if node.op != "call_function" or node.target is not aten.add.Tensor or node.kwargs.get("alpha", 1) != 1:
        return False
    shape = node.meta.get("shape")
    return len(node.args) == 2 and all(isinstance(a, fx.Node) and a.meta.get("shape") == shape for a in node.args)


def _top_of_sum(node: fx.Node) -> fx.Node:
    while len(node.users) == 1 and _is_sum(next(iter(node.users))):
        user = next(iter(node.users))
        if user.args[0] is user.args[1]:
            break
        node = user
    return node


def _leaves(top: fx.Node) -> tuple[list[fx.Node], list[fx.Node]]:
    """Return the tensors that a nested sum adds up, and the sums inside it (itself left out)."""
    leaves: list[fx.Node] = []
    inner: list[fx.Node] = []
    waiting = [a for a in top.args if isinstance(a, fx.Node)]
    while waiting:
        node = waiting.pop()
        if _is_sum(node) and len(node.users) == 1 and node.args[0] is not node.args[1]:
            inner.append(node)
            waiting.extend(a for a in node.args if isinstance(a, fx.Node))
        else:
            leaves.append(node)
    return leaves, inner


def _bounds(node: fx.Node) -> Bounds | None:
    """Return what all readers of a node clip it to, where they agree."""
    found = {_clip(user) for user in node.users}
    return found.pop() if len(found) == 1 else None


def _clip(node: fx.Node) -> Bounds | None:
    if node.op != "call_function":
        return None
    if node.target is aten.relu.default:
        return (0.0, math.inf)
    if node.target is aten.relu6.default:
        return (0.0, 6.0)
    if node.target in (aten.hardtanh.default, aten.clamp.default):
        names = ("min_val", "max_val") if node.target is aten.hardtanh.default else ("min", "max")
        given: list[Any] = [-1.0, 1.0] if node.target is aten.hardtanh.default else [None, None]
        for i, name in enumerate(names):
            given[i] = node.args[i + 1] if len(node.args) > i + 1 else node.kwargs.get(name, given[i])
        if all(v is None or isinstance(v, int | float) for v in given):
            low, high = given
            return (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    return None
