"""Residual networks (He et al. 2016): CIFAR ResNet-20/32, and ResNet-50 with a small or an ImageNet stem."""

from torch import Tensor, nn

from modellego.zoo.registry import Size, register, start_weights, widen


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """A 1x1 convolution with batch norm where the size of the map changes, else None (the identity)."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; `[B, inputs, h, w]` -> `[B, planes, h/stride, w/stride]`."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's branch to its shortcut."""
        branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu(branch + (x if self.downsample is None else self.downsample(x)))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 and a shortcut.

    `[B, inputs, h, w]` -> `[B, 4 planes, h/stride, w/stride]`.
    """

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU()
        self.downsample = shortcut(inputs, 4 * planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Add the block's branch to its shortcut."""
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(branch)))))
        out: Tensor = self.relu(branch + (x if self.downsample is None else self.downsample(x)))
        return out


class ResNet(nn.Module):
    """A stem, stages of residual blocks, global average pooling and `fc`; any input size.

    Images `[B, channels, h, w]` -> logits `[B, num_classes]`. `stages` lists (planes, blocks); all but the
    first halve the map. `small` takes a 3x3 stem without pooling, else the ImageNet stem (7x7, stride 2,
    3x3 max pooling).

    >>> net = ResNet(BasicBlock, ((16, 3), (32, 3), (64, 3)), 10, channels=3, small=True)
    >>> sum(p.numel() for p in net.parameters())
    272474
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        stages: tuple[tuple[int, int], ...],
        num_classes: int,
        channels: int,
        small: bool,
    ) -> None:
        super().__init__()
        stem = stages[0][0]
        kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
        self.conv1 = nn.Conv2d(channels, stem, kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        self.stages = len(stages)
        inputs = stem
        for number, (planes, blocks) in enumerate(stages, start=1):
            outputs = planes if block is BasicBlock else 4 * planes
            strides = [1 if number == 1 else 2] + [1] * (blocks - 1)
            members = [block(inputs if i == 0 else outputs, planes, s) for i, s in enumerate(strides)]
            self.add_module(f"layer{number}", nn.Sequential(*members))
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, num_classes)
        start_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits `[B, num_classes]`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def cifar_resnet(blocks: int, num_classes: int, channels: int, width: float) -> ResNet:
    """Three stages of 16, 32, 64 channels with as many basic blocks each as asked."""
    stages = tuple((widen(planes, width), blocks) for planes in (16, 32, 64))
    return ResNet(BasicBlock, stages, num_classes, channels, small=True)


@register("resnet20")
def resnet20(num_classes: int, channels: int, size: Size, width: float) -> nn.Module:
    """CIFAR ResNet-20: three basic blocks per stage."""
    return cifar_resnet(3, num_classes, channels, width)


@register("resnet32")
def resnet32(num_classes: int, channels: int, size: Size, width: float) -> nn.Module:
    """CIFAR ResNet-32: five basic blocks per stage."""
    return cifar_resnet(5, num_classes, channels, width)


def bottleneck50(num_classes: int, channels: int, width: float, small: bool) -> ResNet:
    """Four stages of 3, 4, 6, 3 bottlenecks."""
    stages = tuple((widen(p, width), n) for p, n in ((64, 3), (128, 4), (256, 6), (512, 3)))
    return ResNet(Bottleneck, stages, num_classes, channels, small)


@register("resnet50")
def resnet50(num_classes: int, channels: int, size: Size, width: float) -> nn.Module:
    """ResNet-50 for small images: 3x3 stem, no pooling behind it."""
    return bottleneck50(num_classes, channels, width, small=True)


@register("resnet50_imagenet")
def resnet50_imagenet(num_classes: int, channels: int, size: Size, width: float) -> nn.Module:
    """ResNet-50 with the ImageNet stem; its tensors bear torchvision's names and shapes."""
    return bottleneck50(num_classes, channels, width, small=False)
