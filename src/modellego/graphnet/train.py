"""A short, seeded training of node classifiers, as Kipf and Welling 2017 train a GCN on Cora."""

import torch
import torch.nn.functional as F
from torch import nn

from modellego.graphnet.data import NodeData


def train_nodes(
    model: nn.Module, data: NodeData, *, epochs: int = 200, lr: float = 0.01, weight_decay: float = 5e-4, seed: int = 0
) -> nn.Module:
    """Train by Adam on the training nodes, in place; the weights that do best on the validation nodes stay.

    `model` maps `(x, edge_index)` to logits `[N, C]`. Returns it in eval mode.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    best, kept = -1.0, {k: v.clone() for k, v in model.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(epochs):
            model.train()
            loss = F.cross_entropy(model(data.x, data.edge_index)[data.train], data.labels[data.train])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            model.eval()
            with torch.no_grad():
                found = model(data.x, data.edge_index)[data.validation].argmax(1)
            accuracy = float((found == data.labels[data.validation]).double().mean())
            if accuracy > best:
                best, kept = accuracy, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(kept)
    return model.eval()
