"""What a model is made of: its layers, its channel groups, what may be cut and what stays whole, and why."""

from typing import Any

from modellego.brick import Assembled, Brick
from modellego.capture.cost import network_cost, node_macs
from modellego.capture.network import Network
from modellego.channels import ChannelMap, analyse


def inspect(model: Brick | Assembled) -> dict[str, Any]:
    """Return, as plain values, a brick's classes and, for each of its networks, layers, channel groups and cost.

    >>> from torch import nn
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> found = inspect(whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), Preprocess(1, 8, 8)))
    >>> found["networks"][0]["layers"][0]["layer"]
    '1'
    """
    bricks = [m for m in model.modules() if isinstance(m, Brick)]
    return {
        "kind": model.info.kind,
        "classes": list(model.classes),
        "sources": [s.name for s in model.info.sources],
        "networks": [_network(brick) for brick in bricks],
    }


def _network(brick: Brick) -> dict[str, Any]:
    network = brick.captured()
    channels = analyse(network)
    spent = network_cost(network)
    name = brick.info.sources[0].name if brick.info.sources else "network"
    return {
        "name": name,
        "input_shape": list(network.input_shape),
        "macs": spent.macs,
        "not_counted": list(spent.not_counted),
        "parameters": spent.parameters,
        **channels.summary(),
        "layers": _layers(network, channels),
        "refit": (brick.info.refit or {}).get("stages", []),
        "by_definition": _by_reason(channels.approximate),
        "kept_whole": _by_reason(channels.pinned),
    }


def _layers(network: Network, channels: ChannelMap) -> list[dict[str, Any]]:
    readers = {r.node: r for r in channels.readers}
    rows = []
    for node in network.graph.graph.nodes:
        if node.name not in readers:
            continue
        reading = readers[node.name]
        layer = network.graph.get_submodule(reading.layer)
        out = reading.out_groups[reading.out_groups >= 0]
        rows.append(
            {
                "layer": reading.layer,
                "type": type(layer).__name__,
                "in": len(reading.in_groups),
                "out": len(reading.out_groups),
                "may_cut": int(channels.cuttable[out].sum()),
                "macs": node_macs(node, layer) or 0,
                "shape": list(node.meta["shape"][1:]),
            }
        )
    return rows


def _by_reason(found: dict[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for node, reason in found.items():
        reasons.setdefault(reason, []).append(node)
    return reasons
