"""Models that the recipes beside it cut: small networks, trained on scikit-learn's digits when they are loaded."""

import torch
from torch import nn

from modellego.data import load_data

EPOCHS = 5


def trained(digits: range, seed: int) -> nn.Module:
    """Train a small network to tell some of the digits apart; it takes a second or two."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, len(digits)),
    )
    train = load_data("digits").train.select(list(digits))
    images, labels = train.images(), torch.from_numpy(train.labels)
    steps = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels)).split(32):
            steps.zero_grad()
            nn.functional.cross_entropy(net(images[rows]), labels[rows]).backward()
            steps.step()
    return net


def low():
    """One team's model: digits 0 to 4."""
    return trained(range(5), seed=0)


def high():
    """Another team's model: digits 5 to 9."""
    return trained(range(5, 10), seed=1)


def ten():
    """A model of all digits."""
    return trained(range(10), seed=2)
