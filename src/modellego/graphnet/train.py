"""A short, seeded training of node classifiers, as Kipf and Welling 2017 train a GCN on Cora."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modellego.graphnet.data import NodeData
from modellego.training.loop import Examples, Run, run_epochs
from modellego.training.settings import Settings


def train_nodes(
    model: nn.Module, data: NodeData, *, epochs: int = 200, lr: float = 0.01, weight_decay: float = 5e-4, seed: int = 0
) -> nn.Module:
    """Train by Adam on the training nodes, all in one step, in place; the weights best on validation nodes stay.

    `model` maps `(x, edge_index)` to logits `[N, C]`. Returns it in eval mode.
    """

    def loss(chosen: Tensor, _: torch.Generator) -> Tensor:
        return F.cross_entropy(model(data.x, data.edge_index)[chosen], data.labels[chosen])

    def measure(chosen: Tensor) -> tuple[Tensor, Tensor]:
        logits, labels = model(data.x, data.edge_index)[chosen], data.labels[chosen]
        return F.cross_entropy(logits, labels, reduction="none"), logits.argmax(1) == labels

    settings = Settings(
        epochs=epochs,
        lr=lr,
        optimizer="adam",
        schedule="constant",
        batch_size=len(data.train),
        weight_decay=weight_decay,
        keep="best",
        device="cpu",
        seed=seed,
    )
    run_epochs(Run(model, Examples(data.train, data.validation, loss, measure), settings))
    return model
