"""Ranks of feature maps: how many linearly independent rows a channel's map has, on average over images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from modellego.capture.network import Network
from modellego.channels.channel_map import ChannelMap, Ids
from modellego.data.chunks import NetworkInput, chunks, number_of, own_part
from modellego.distributed import summed
from modellego.locate.sensitivity import recorded

Floats = NDArray[np.float64]
IMAGES = 500  # what the paper draws: ranks hardly move with the images


def map_nodes(network: Network, channels: ChannelMap) -> list[str]:
    """Return the nodes whose channels are maps, one for each tensor that is read.

    A tensor without maps (flattened, or pooled to one number per channel) stands for the map it was made from, where
    there is one; a layer of plain units has maps of one by one.
    """
    nodes = {n.name: n for n in network.graph.graph.nodes}
    found: dict[str, None] = {}
    for reading in channels.readers:
        if (reading.in_groups < 0).all():  # the image itself
            continue
        node: fx.Node | None = nodes[reading.input]
        while node is not None and not _has_maps(node, channels.ids):
            above = node.all_input_nodes
            same = node.op != "call_module" or str(node.target) not in channels.layer_out  # a layer makes new channels
            node = above[0] if len(above) == 1 and same else None
        found[node.name if node is not None else reading.input] = None
    return list(found)


def _has_maps(node: fx.Node, ids: dict[str, Ids]) -> bool:
    shape = node.meta.get("shape", ())
    own = ids.get(node.name)
    return len(shape) == 4 and shape[2] * shape[3] > 1 and own is not None and own.shape[2:] == (1, 1)


def average_ranks(network: Network, channels: ChannelMap, images: NetworkInput, batch: int = 50) -> dict[str, Floats]:
    """Return for each of `map_nodes` mean rank of its channels' maps, float64 `[n_groups]`, 0 for a group not in it.

    `images` is network input `[N, *input_shape]`. A singular value counts where it is above the largest one times
    the side of the map times float32's epsilon. Source: Lin et al. 2020 (HRank, arXiv 2002.10179), equation 4.

    >>> from torch import nn
    >>> from modellego.capture import capture
    >>> from modellego.channels import analyse
    >>> net = capture(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1), nn.Flatten()), (1, 3, 3))
    >>> _ = net.graph.get_submodule("0").weight.data.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    >>> _ = net.graph.get_submodule("0").bias.data.zero_()
    >>> channels = analyse(net)
    >>> ranks = average_ranks(net, channels, torch.eye(3)[None, None])["relu"]
    >>> ranks[channels.layer_out["0"]].tolist()
    [3.0, 0.0]
    """
    names = map_nodes(network, channels)
    totals = {name: np.zeros(channels.n_groups) for name in names}
    with torch.no_grad():
        for block in chunks(own_part(images)[0], batch):
            for name, value in recorded(network, names, block)[1].items():
                ids = channels.ids[name]
                if value.ndim == 4 and ids.shape[1:] == (value.shape[1], 1, 1):
                    ranks = torch.linalg.matrix_rank(value.float()).double().sum(0).numpy()
                    sets = ids.reshape(-1)
                else:
                    ranks = (value != 0).double().sum(0).reshape(-1).numpy()
                    sets = np.broadcast_to(ids, (1, *value.shape[1:])).reshape(-1)
                inner = sets >= 0
                # a group that sits at several places of one tensor: its mean over them
                places = np.bincount(sets[inner], minlength=channels.n_groups)
                total = np.bincount(sets[inner], weights=ranks[inner], minlength=channels.n_groups)
                totals[name] += total / np.maximum(places, 1)
    summed(*map(torch.from_numpy, totals.values()))
    return {name: total / number_of(images) for name, total in totals.items()}
