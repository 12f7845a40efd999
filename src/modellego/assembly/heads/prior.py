"""The calibration without labels: one shift per class, so that all classes are predicted about equally often."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.assembly.heads.convex import groups_matrix
from modellego.assembly.heads.minimum import minimum
from modellego.errors import AssemblyError

SHRINK = 1e-3  # of the shifts, in units of squared logits: on few images no class is moved far


def fit_prior(
    logits: Tensor, *, groups: list[list[int]] | None = None, prior: Tensor | None = None, shrink: float = SHRINK
) -> Tensor:
    """Return a shift per class, float [L], that brings the mean predicted probabilities to a prior.

    The one convex problem  min_b  mean_n logsumexp(z_n + b) - prior . b + shrink |b|^2,  whose gradient is the
    difference of mean prediction and prior. It needs no labels, and images that show the classes as often as `prior`
    says: by default all equally often.

    Args:
        logits: the concatenated logits `[N, L]` of unlabelled images.
        groups: which logits mean the same class; they are shifted together.
        prior: how often each class (or group) is shown, float summing to 1.
        shrink: ridge penalty of the shifts.

    Raises:
        AssemblyError: no images, or a prior that does not fit the classes.

    Source: adjusting outputs to known class frequencies (Saerens et al. 2002), here for bricks whose heads were
    trained apart, as one convex problem.

    >>> logits = torch.randn(400, 4, generator=torch.Generator().manual_seed(0)) + torch.tensor([3.0, 0, 0, 0])
    >>> shift = fit_prior(logits)
    >>> (logits + shift).softmax(1).mean(0).max().item() < 0.3
    True
    """
    if not len(logits):
        raise AssemblyError("a calibration without labels needs images of the bricks' classes")
    member = groups_matrix(groups, logits.shape[1]).double().numpy()
    classes = member.shape[1]
    target = np.full(classes, 1 / classes) if prior is None else prior.double().numpy()
    if target.shape != (classes,) or abs(float(target.sum()) - 1) > 1e-6 or float(target.min()) < 0:
        raise AssemblyError(f"the prior must hold {classes} shares that sum to 1")
    wide = logits.detach().double()

    def objective(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        shifted = wide + torch.from_numpy(member @ vector)
        loss = float(shifted.logsumexp(1).mean()) - float(target @ vector) + shrink * float(vector @ vector)
        slope = shifted.softmax(1).mean(0).numpy() @ member - target + 2 * shrink * vector
        return loss, np.asarray(slope, dtype=np.float64)

    found = minimum(objective, np.zeros(classes), maxiter=300, ftol=1e-12, gtol=1e-7)
    return torch.from_numpy(member @ found).to(logits.dtype)
