"""VGG-16 (Simonyan and Zisserman 2015) for small images: 13 convolutions and 512-512 linear layers."""

from torch import Tensor, nn

from modellego.zoo.registry import Size, register, start_weights, widen

STAGES = (
    (64, 2),
    (128, 2),
    (256, 3),
    (512, 3),
    (512, 3),
)  # channels, convolutions; each ends in a 2x2 pooling


class VGG16(nn.Module):
    """`features`, flatten, `classifier`; images `[B, channels, h, w]` -> logits `[B, num_classes]`.

    A pooling whose map is already one pixel high or wide is left out (its place in `features` is kept, so
    that the names of the tensors do not depend on the size). The first linear layer is sized by the input.
    The two hidden linear layers have 512 features instead of ImageNet's 4096, as is common on CIFAR; dropout is 0.5 at
    full width and less in proportion below, where there is little to spare.

    >>> VGG16(10, 3, (64, 64), 1.0, norm=True).classifier[0].in_features
    2048
    """

    def __init__(self, num_classes: int, channels: int, size: Size, width: float, norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        height, across = size
        for count, depth in STAGES:
            for _ in range(depth):
                layers.append(nn.Conv2d(channels, widen(count, width), 3, padding=1, bias=not norm))
                channels = widen(count, width)
                layers += [nn.BatchNorm2d(channels), nn.ReLU()] if norm else [nn.ReLU()]
            if min(height, across) > 1:
                layers.append(nn.MaxPool2d(2))
                height, across = height // 2, across // 2
            else:
                layers.append(nn.Identity())
        self.features = nn.Sequential(*layers)
        hidden, dropped = widen(512, width), 0.5 * min(1.0, width)
        self.classifier = nn.Sequential(
            nn.Linear(channels * height * across, hidden),
            nn.ReLU(),
            nn.Dropout(dropped),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropped),
            nn.Linear(hidden, num_classes),
        )
        start_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits `[B, num_classes]`."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits


@register("vgg16")
def vgg16(num_classes: int, channels: int, size: Size, width: float) -> nn.Module:
    """VGG-16 without batch norm."""
    return VGG16(num_classes, channels, size, width, norm=False)


@register("vgg16_bn")
def vgg16_bn(num_classes: int, channels: int, size: Size, width: float) -> nn.Module:
    """VGG-16 with batch norm behind every convolution."""
    return VGG16(num_classes, channels, size, width, norm=True)
