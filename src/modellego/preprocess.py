"""What an image goes through before the first layer: channels, size, normalisation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from modellego.errors import DataError

RESIZES = ("squash", "crop")
INTERPOLATIONS = ("bilinear", "bicubic")
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, the weights of grey conversion in most image software


@dataclass(frozen=True)
class Frame:
    """What of an image a network reads: brought to `shape` (channels, height, width), as `Preprocess` says.

    `resize` None takes images of this shape alone.

    >>> Frame((3, 4, 4), "crop")(torch.zeros(2, 1, 9, 5)).shape
    torch.Size([2, 3, 4, 4])
    """

    shape: tuple[int, ...]
    resize: str | None = "squash"
    crop_share: float = 1.0
    interpolation: str = "bilinear"

    def __call__(self, images: Tensor) -> Tensor:
        """Bring images `[B, c, h, w]`, float in [0,1], to `[B, *shape]`; those that are so already stay as they are.

        Antialiased; grey becomes RGB by repetition, RGB grey by luma. Differentiable; the dtype stays.
        Raises `DataError` for integers and for channels or a shape that cannot be converted.
        """
        if not images.is_floating_point():
            raise DataError(f"images must be floats in [0, 1], not {images.dtype}: divide bytes by 255")
        if self.resize is None:
            if tuple(images.shape[1:]) != self.shape:
                raise DataError(f"the network reads images of shape {self.shape}, not {tuple(images.shape[1:])}")
            return images
        if images.ndim != 4:
            raise DataError(f"images must have the shape [B, c, h, w], not {tuple(images.shape)}")
        channels, height, width = self.shape
        images = with_channels(images, channels)
        return resized(images, (height, width), self.resize, self.crop_share, self.interpolation)


@dataclass(frozen=True)
class Framed:
    """The same images once for each frame that the networks of a model read: float `[B, *frame.shape]` in [0,1].

    Models take it in place of images of one size. Made by `modellego.data.feed`.
    """

    images: Mapping[Frame, Tensor]

    def __getitem__(self, frame: Frame) -> Tensor:
        return self.images[frame]

    def __len__(self) -> int:
        return len(next(iter(self.images.values())))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Framed":
        """Change the images of every frame alike."""
        return Framed({frame: change(images) for frame, images in self.images.items()})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Framed":
        """Move all images to a device."""
        return self.map(lambda images: images.to(device, non_blocking=non_blocking))


@dataclass(frozen=True)
class Preprocess:
    """The input a network wants: `channels` x `height` x `width`, normalised by (x - mean) / std.

    `mean` and `std` hold one number per channel; a single number stands for all channels. `resize` says how an
    image of another size is brought to this one: `squash` both sides, or scale evenly until the image covers
    the size and `crop` the centre. Raises `DataError` for values that make no sense, such as a mean of bytes (123.675).

    >>> Preprocess(3, 32, 32, mean=(0.5,), std=(0.25,)).std
    (0.25, 0.25, 0.25)
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: str = "squash"
    crop_share: float = 1.0
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            size = f"{self.channels}x{self.height}x{self.width}"
            raise DataError(f"an input of {size} (channels x height x width) is empty: give positive sizes")
        for name in ("mean", "std"):
            values = tuple(float(v) for v in getattr(self, name))
            values = values * self.channels if len(values) == 1 else values
            if len(values) != self.channels:
                raise DataError(
                    f"{name} has {len(values)} values for {self.channels} channels: "
                    f"give one number, or one for each channel"
                )
            object.__setattr__(self, name, values)
        _check_normalisation(self.mean, self.std)
        if self.resize not in RESIZES:
            raise DataError(f"resize is one of {', '.join(RESIZES)}, not {self.resize!r}")
        if self.interpolation not in INTERPOLATIONS:
            raise DataError(f"interpolation is one of {', '.join(INTERPOLATIONS)}, not {self.interpolation!r}")
        if not 0.1 <= self.crop_share <= 1:
            raise DataError(f"the share that is cropped is {self.crop_share:g}: it lies from 0.1 to 1")

    @property
    def normalises(self) -> bool:
        """Whether it has a mean or a standard deviation other than 0 and 1."""
        return any(self.mean) or any(s != 1 for s in self.std)

    @property
    def frame(self) -> Frame:
        """What is done before normalising."""
        return Frame((self.channels, self.height, self.width), self.resize, self.crop_share, self.interpolation)


def _check_normalisation(mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuse what cannot be the mean and standard deviation of images in [0,1], and say what was likely meant."""
    if not all(s > 0 for s in std):
        raise DataError(f"std must be positive, not {_listed(std)}")
    if min(mean) < 0:
        turned = f": it is subtracted, so give {_listed([abs(m) for m in mean])}" if min(mean) >= -1 else ""
        raise DataError(f"mean {_listed(mean)} is negative, as no mean of images in [0,1] is{turned}")
    if not all(m <= 1 for m in mean):
        meant = f"divide by 255, mean {_of_bytes(mean)}" if all(m <= 255 for m in mean) else "give numbers from 0 to 1"
        if all(1 <= s <= 255 for s in std):  # beside a mean of bytes a std of 1 means that they are not scaled
            meant += f", and std {_of_bytes(std)}"
        raise DataError(f"mean {_listed(mean)} cannot belong to images in [0,1]: {meant}")
    if not all(s <= 1 for s in std):
        meant = f"divide by 255, std {_of_bytes(std)}" if all(s <= 255 for s in std) else "give numbers from 0 to 1"
        if all(1 <= s <= 20 for s in std):  # 255 times the std of no usual set of images; 1/0.229 is 4.37
            meant = f"if these are factors, std is 1 over each, {_listed([1 / s for s in std])}"
        raise DataError(f"std {_listed(std)} cannot belong to images in [0,1]: {meant}")


def _of_bytes(values: Sequence[float]) -> str:
    return _listed([v / 255 for v in values])


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{v:.3g}" if v < 1 else f"{v:g}" for v in values)


def apply(preprocess: Preprocess, images: Tensor) -> Tensor:
    """Turn images `[B, c, h, w]`, float in [0,1], into the network's input `[B, channels, height, width]`.

    Brings them to the preprocessing's frame, and normalises. Differentiable; the dtype stays. Raises `DataError` for
    integers and for other channel counts.

    >>> apply(Preprocess(1, 4, 4, (0.5,), (0.5,)), torch.ones(2, 3, 8, 8)).unique()
    tensor([1.])
    """
    images = preprocess.frame(images)
    mean, std = (images.new_tensor(v).view(-1, 1, 1) for v in (preprocess.mean, preprocess.std))
    return (images - mean) / std


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Convert `[..., c, h, w]` to `[..., channels, h, w]`: grey to RGB by repetition, RGB to grey by luma.

    Raises `DataError` for any other pair of counts.

    >>> with_channels(torch.zeros(2, 1, 4, 4), 3).shape
    torch.Size([2, 3, 4, 4])
    """
    given = images.shape[-3]
    if given == channels:
        return images
    if given == 1 and channels == 3:
        return images.expand(*images.shape[:-3], 3, *images.shape[-2:])
    if given == 3 and channels == 1:
        weights = images.new_tensor(LUMA).view(3, 1, 1)
        return (images * weights).sum(-3, keepdim=True)
    raise DataError(
        f"images have {given} channels and the network wants {channels}: only grey (1) and RGB (3) are converted"
    )


def resized(
    images: Tensor,
    size: tuple[int, int],
    resize: str = "squash",
    crop_share: float = 1.0,
    interpolation: str = "bilinear",
) -> Tensor:
    """Bring `[B, c, h, w]` to `[B, c, *size]`, antialiased; `size` is (height, width).

    `squash` scales both sides; `crop` scales evenly until the image covers the size over `crop_share`, and cuts out the
    centre. Images that have the size stay as they are.

    >>> resized(torch.zeros(1, 3, 20, 10), (5, 5), "crop").shape
    torch.Size([1, 3, 5, 5])
    """
    height, width = int(images.shape[-2]), int(images.shape[-1])
    if (height, width) == tuple(size):
        return images
    target = tuple(size)
    if resize == "crop":
        cover = (round(size[0] / crop_share), round(size[1] / crop_share))
        images = _shortened(images, cover)
        height, width = int(images.shape[-2]), int(images.shape[-1])
        scale = max(cover[0] / height, cover[1] / width)
        target = (max(cover[0], round(height * scale)), max(cover[1], round(width * scale)))
    if (height, width) != target:
        images = F.interpolate(images, target, mode=interpolation, antialias=True, align_corners=False)
        images = images.clamp(0, 1) if interpolation == "bicubic" else images  # it swings beyond sharp edges
    top, left = (target[0] - size[0]) // 2, (target[1] - size[1]) // 2
    return images[..., top : top + size[0], left : left + size[1]]


_LONGEST = 16  # times the shape that is cut out; what lies beyond is off the crop, and would be enlarged with it


def _shortened(images: Tensor, size: tuple[int, ...]) -> Tensor:
    """Cut the ends off images far longer than the crop: one of 1 x 20,000 would first become 4 GB.

    >>> _shortened(torch.zeros(1, 3, 1, 20000), (224, 224)).shape
    torch.Size([1, 3, 1, 16])
    """
    height, width = int(images.shape[-2]), int(images.shape[-1])
    scale = max(size[0] / height, size[1] / width)
    kept = [min(length, max(1, round(_LONGEST * s / scale))) for length, s in ((height, size[0]), (width, size[1]))]
    top, left = (height - kept[0]) // 2, (width - kept[1]) // 2
    return images[..., top : top + kept[0], left : left + kept[1]]
