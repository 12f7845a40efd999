"""Turning images away: from logits, how sure a brick is, and which rows fall below its threshold."""

from collections.abc import Callable
from typing import Literal

import torch

from modellego.brick.strict import Strict

Statistic = Literal["max_probability", "energy", "max_logit", "margin"]


class Reject(Strict):
    """The rule by which a brick turns images away: those whose `statistic` is below `threshold`."""

    threshold: float
    statistic: Statistic


def _margin(logits: torch.Tensor) -> torch.Tensor:
    top = logits.softmax(1).topk(min(2, logits.shape[1]), dim=1).values
    return top[:, 0] - top[:, 1:].sum(1)


_STATISTICS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "max_probability": lambda logits: logits.softmax(1).amax(1),
    "energy": lambda logits: logits.logsumexp(1),
    "max_logit": lambda logits: logits.amax(1),
    "margin": _margin,
}


def confidence(logits: torch.Tensor, statistic: Statistic) -> torch.Tensor:
    """Return how sure logits `[B, C]` are, one number per row `[B]`; larger is surer.

    `max_probability` is the largest softmax probability (Hendrycks and Gimpel 2017), `energy` the log-sum-exp
    of the logits (the negative free energy of Liu et al. 2020), `max_logit` the largest logit, and `margin`
    the distance between the two largest probabilities.

    >>> confidence(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), "max_logit")
    tensor([0., 3.])
    """
    return _STATISTICS[statistic](logits)


def predict_reject(logits: torch.Tensor, reject: Reject | None) -> torch.Tensor:
    """Return which rows of logits `[B, C]` are to be turned away, bool `[B]`; none where there is no rule.

    >>> rule = Reject(threshold=0.9, statistic="max_probability")
    >>> predict_reject(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), rule)
    tensor([ True, False])
    """
    if reject is None:
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    return confidence(logits, reject.statistic) < reject.threshold
