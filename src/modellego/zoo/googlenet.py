"""GoogLeNet (Szegedy et al. 2015) for small images, with batch norm and two 3x3 kernels in place of a 5x5."""

import torch
from torch import Tensor, nn

from modellego.zoo.registry import Size, register, start_weights, widen

# 1x1; 1x1 and 3x3; 1x1 and 3x3, 3x3; pooling and 1x1: the table of the original paper, None a max pooling
TABLE: dict[str, tuple[int, int, int, int, int, int] | None] = {
    "a3": (64, 96, 128, 16, 32, 32),
    "b3": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "a4": (192, 96, 208, 16, 48, 64),
    "b4": (160, 112, 224, 24, 64, 64),
    "c4": (128, 128, 256, 24, 64, 64),
    "d4": (112, 144, 288, 32, 64, 64),
    "e4": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "a5": (256, 160, 320, 32, 128, 128),
    "b5": (384, 192, 384, 48, 128, 128),
}


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution that keeps the map's size, batch norm, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Inception(nn.Module):
    """Four branches side by side, concatenated: `[B, inputs, h, w]` -> `[B, outputs, h, w]`."""

    def __init__(self, inputs: int, counts: tuple[int, ...]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pooled = counts
        self.branch1 = convolution(inputs, one, 1)
        self.branch2 = nn.Sequential(convolution(inputs, reduce3, 1), convolution(reduce3, three, 3))
        self.branch3 = nn.Sequential(
            convolution(inputs, reduce5, 1), convolution(reduce5, five, 3), convolution(five, five, 3)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pooled, 1))
        self.outputs = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate the four branches along the channel axis."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """Three 3x3 convolutions, nine inceptions, average pooling, `fc`: 66 convolutions in all; any input size.

    Images `[B, channels, h, w]` -> logits `[B, num_classes]`. The original's auxiliary heads are left out.

    >>> net = GoogLeNet(10, 3, (32, 32), 1.0)
    >>> sum(isinstance(layer, nn.Conv2d) for layer in net.modules())
    66
    """

    def __init__(self, num_classes: int, channels: int, size: Size, width: float) -> None:
        super().__init__()
        narrow, wide = widen(64, width), widen(192, width)
        self.stem = nn.Sequential(
            convolution(channels, narrow, 3), convolution(narrow, narrow, 3), convolution(narrow, wide, 3)
        )
        inputs = wide
        self.inceptions = nn.Sequential()
        for name, counts in TABLE.items():
            if counts is None:
                self.inceptions.add_module(name, nn.MaxPool2d(3, 2, 1))
                continue
            inception = Inception(inputs, tuple(widen(count, width) for count in counts))
            self.inceptions.add_module(name, inception)
            inputs = inception.outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(inputs, num_classes)
        start_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits `[B, num_classes]`."""
        x = self.avgpool(self.inceptions(self.stem(images))).flatten(1)
        logits: Tensor = self.fc(self.dropout(x))
        return logits


register("googlenet")(GoogLeNet)
