"""Altered views of calibration images, on which a model is no surer than on images it has never seen."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from modellego.preprocess import Framed

VIEWS = 3


def altered_views(images: Tensor, *, count: int = VIEWS, seed: int = 0) -> Iterator[Tensor]:
    """Yield `count` altered copies of images float [n, c, h, w] in [0, 1], shaped alike; the order never changes.

    In turn: a mild warp with a change of colours, a strong warp, a mild shift with a square cut out. Calibration images
    are mostly images that the source models were trained on: on these they are surer than on any new ones, and so is
    each brick that an image is its own. Turned, stretched, shifted, cut: that is as hard for them as a new image is.
    The same seed gives the same views; no state outside is changed.

    Source: random erasing (Zhong et al. 2020) and affine augmentation, as used for training, here on calibration data.

    >>> images = torch.rand(2, 3, 32, 32)
    >>> [v.shape == images.shape for v in altered_views(images)]
    [True, True, True]
    """
    makers = (_mild, _strong, _cut)
    for number in range(count):
        random = Generator().manual_seed(seed * 7919 + number)
        yield makers[number % len(makers)](images, random)


def altered_frames(images: Framed, *, count: int = VIEWS, seed: int = 0) -> Iterator[Framed]:
    """Yield `count` altered copies of framed images, as `altered_views` does: an image's alteration is the same in all.

    They are made at the sizes that networks read, so that a large photograph costs no more than a small one.

    >>> from modellego.preprocess import Frame
    >>> images = Framed({Frame((3, s, s)): torch.rand(2, 3, s, s) for s in (16, 32)})
    >>> [len(view) for view in altered_frames(images, count=2)]
    [2, 2]
    """
    views = {frame: altered_views(shown, count=count, seed=seed) for frame, shown in images.images.items()}
    for _ in range(count):
        yield Framed({frame: next(altered) for frame, altered in views.items()})


def _mild(images: Tensor, random: Generator) -> Tensor:
    return _colour(_warp(images, random, degrees=10, scale=0.12, shift=1 / 16, shear=0.08), random, 0.2)


def _strong(images: Tensor, random: Generator) -> Tensor:
    return _warp(images, random, degrees=18, scale=0.22, shift=3 / 32, shear=0.15)


def _cut(images: Tensor, random: Generator) -> Tensor:
    return _cutout(_warp(images, random, degrees=0, scale=0, shift=1 / 16, shear=0), random, 3 / 8)


def _uniform(images: Tensor, random: Generator, reach: float) -> Tensor:
    """Return one number per image in [-reach, reach], float [n]."""
    return (torch.rand(len(images), generator=random) * 2 - 1) * reach


def _warp(images: Tensor, random: Generator, *, degrees: float, scale: float, shift: float, shear: float) -> Tensor:
    """Mirror half the images, and turn, stretch, shear and shift all (`shift` is a share of the width), bicubic."""
    angle = _uniform(images, random, math.radians(degrees))
    size = torch.exp(_uniform(images, random, math.log1p(scale)))
    shape = torch.exp(_uniform(images, random, math.log1p(scale / 2)))
    slant = _uniform(images, random, shear)
    mirror = torch.where(torch.rand(len(images), generator=random) < 0.5, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    zero = torch.zeros_like(size)
    stretch = torch.stack([torch.stack([mirror * size * shape, slant], 1), torch.stack([zero, size / shape], 1)], 1)
    move = torch.stack([_uniform(images, random, 2 * shift), _uniform(images, random, 2 * shift)], 1)
    theta = torch.cat([turn @ stretch, move[:, :, None]], 2).to(images.dtype)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    # Reflection, so that no border appears that no photograph has.
    warped = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return warped.clamp(0, 1)


def _colour(images: Tensor, random: Generator, reach: float) -> Tensor:
    """Change contrast, brightness and saturation by up to `reach` (brightness by half of it)."""
    contrast, light, saturation = (_uniform(images, random, reach).view(-1, 1, 1, 1) for _ in range(3))
    mean = images.mean((1, 2, 3), keepdim=True)
    changed = (images - mean) * (1 + contrast) + mean + light / 2
    grey = changed.mean(1, keepdim=True)
    return ((changed - grey) * (1 + saturation) + grey).clamp(0, 1)


def _cutout(images: Tensor, random: Generator, share: float) -> Tensor:
    """Paint a square of `share` of the shorter side in the image's mean colour, anywhere on it."""
    count, _, height, width = images.shape
    half = share * min(height, width) / 2
    y = torch.rand(count, 1, 1, generator=random) * height
    x = torch.rand(count, 1, 1, generator=random) * width
    rows = (torch.arange(height) + 0.5).view(1, height, 1)
    columns = (torch.arange(width) + 0.5).view(1, 1, width)
    inside = ((rows - y).abs() <= half) & ((columns - x).abs() <= half)
    return torch.where(inside[:, None], images.mean((2, 3), keepdim=True), images)
