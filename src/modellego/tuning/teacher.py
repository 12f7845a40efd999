"""What a brick is held against: its source's logits of the task, and how far the brick's are from them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from modellego.brick import Brick

BATCH = 250


@torch.no_grad()
def task_logits(source: Brick, task: Sequence[int], images: Tensor) -> Tensor:
    """Return the source's logits of a task's classes, float32 `[N, C]`, in eval mode; its mode is put back.

    `images` are what the source reads, float `[N, c, h, w]` in [0,1].
    """
    mode = source.training
    source.eval()
    try:
        return torch.cat([source(batch)[:, list(task)].float() for batch in images.split(BATCH)])  # type: ignore[no-untyped-call]
    finally:
        source.train(mode)


def logit_distance(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean square of the difference of centred logits `[B, C]`, a scalar.

    What all logits of an image have in common changes no answer, so it is taken out on both sides. Source: Ba and
    Caruana 2014, "Do Deep Nets Really Need to be Deep?" (regression on logits).

    >>> float(logit_distance(torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, 6.0]])))
    0.0
    """
    return F.mse_loss(logits - logits.mean(1, keepdim=True), wanted - wanted.mean(1, keepdim=True))


def disagreement(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's Kullback-Leibler divergence from the source's softmax, and whether both name one class.

    `logits`, `wanted` float `[B, C]`; the divergence is float `[B]`, in nats, the other bool `[B]`.

    >>> apart, same = disagreement(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 1.0]]))
    >>> apart.tolist(), same.tolist()
    ([0.0], [True])
    """
    apart = F.kl_div(logits.log_softmax(1), wanted.log_softmax(1), reduction="none", log_target=True).sum(1)
    return apart, logits.argmax(1) == wanted.argmax(1)
