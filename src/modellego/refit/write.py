"""Weights as one linear map, and back: a layer and the batch norm behind it, read together and written together."""

from typing import Any

import torch
from torch import Tensor, nn

from modellego.capture.layers import WeightedLayer
from modellego.leastsquares import bias_of, set_weight_matrix, weight_matrix
from modellego.refit.fit import Fit

LEAST_SCALE = 1e-6  # a norm's scale below which a channel counts as switched off
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def norm_scale(norm: Norm) -> tuple[Tensor, Tensor]:
    """Return a batch norm's scale and shift per channel, float64 `[Q]` on the CPU, as it acts in evaluation.

    >>> scale, shift = norm_scale(nn.BatchNorm2d(2, eps=0.0))
    >>> scale.tolist(), shift.tolist()
    ([1.0, 1.0], [0.0, 0.0])
    """
    found: Any = norm
    scale = 1 / torch.sqrt(found.running_var.cpu().double() + norm.eps)
    shift = -found.running_mean.cpu().double() * scale
    if norm.affine:
        gamma = norm.weight.detach().cpu().double()
        scale, shift = scale * gamma, shift * gamma + norm.bias.detach().cpu().double()
    return scale, shift


def effective(layer: WeightedLayer, norm: Norm | None) -> tuple[Tensor, Tensor]:
    """Return weight matrix `[groups, F, Q/groups]` and bias `[Q]`, float64, of a layer with the norm behind it."""
    weights, bias = weight_matrix(layer), bias_of(layer)
    if norm is None:
        return weights, bias
    scale, shift = norm_scale(norm)
    groups = weights.shape[0]
    return weights * scale.reshape(groups, 1, -1), bias * scale + shift


def has_bias(layer: WeightedLayer, norm: Norm | None) -> bool:
    """Whether a constant can be added to the output."""
    return norm is not None or layer.bias is not None


@torch.no_grad()
def write(layer: WeightedLayer, norm: Norm | None, weights: Tensor, bias: Tensor, fit: Fit, part: slice) -> None:
    """Make layer and norm compute `weights`, `bias` (as `effective` gives them), in place.

    The norm keeps its meaning: its running mean and variance become those of what the layer now puts out on the
    calibration rows, and its scale and shift make up for them, so that training starts from the same function.
    """
    if norm is None:
        set_weight_matrix(layer, weights)
        if layer.bias is not None:
            layer.bias.copy_(bias)
        return
    statistics: Any = norm
    groups = weights.shape[0]
    scale, _ = norm_scale(norm)
    scale = torch.where(scale.abs() < LEAST_SCALE, torch.ones_like(scale), scale)
    raw = weights / scale.reshape(groups, 1, -1)
    set_weight_matrix(layer, raw)
    if layer.bias is not None:
        layer.bias.zero_()
    if not norm.affine:
        statistics.running_mean.copy_(-bias / scale)
        return
    mean, variance = (m.reshape(-1) for m in fit.moments(raw, part))
    statistics.running_mean.copy_(mean)
    statistics.running_var.copy_(variance)
    norm.weight.copy_(scale * torch.sqrt(statistics.running_var.cpu().double() + norm.eps))
    norm.bias.copy_(bias + scale * statistics.running_mean.cpu().double())
