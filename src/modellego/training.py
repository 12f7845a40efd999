"""A short, seeded training loop for small networks on images in memory: what the demo and the examples train with."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modellego.progress import Update


def train_classifier(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 0.05,
    weight_decay: float = 5e-4,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    seed: int = 0,
    update: Update | None = None,
) -> nn.Module:
    """Train a network by SGD with momentum and a one-cycle cosine schedule, in place; return it in eval mode.

    `inputs` float `[N, C, H, W]` as the network reads them, `labels` int64 `[N]`; `augment(batch, generator)` may
    change a batch; `update(step, steps)` is called after each step. The same seed gives the same weights.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> net = train_classifier(net, torch.rand(8, 1, 2, 2), torch.arange(8) % 2)
    >>> net.training
    False
    """
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(inputs) // batch_size)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    model.train()
    done = 0
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(inputs), generator=generator), batch_size):
            batch = inputs[chosen]
            if augment:
                batch = augment(batch, generator)
            loss = F.cross_entropy(model(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            done += 1
            if update:
                update(done, steps)
    return model.eval()
