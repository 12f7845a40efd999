"""LeNet-5 (LeCun et al. 1998) with ReLU and max pooling."""

from torch import Tensor, nn

from modellego.zoo.registry import Size, register, start_weights, widen


class LeNet5(nn.Module):
    """Two convolutions and three linear layers; images `[B, channels, h, w]` -> logits `[B, num_classes]`.

    The kernels are 5x5. Images smaller than 32 are padded before the first convolution, smaller than 28
    before the second too, so that 32 and 28 give the classic 5x5 maps.

    >>> [tuple(p.shape) for p in LeNet5(10, 1, (28, 28), 1.0).fc1.parameters()]
    [(120, 400), (120,)]
    """

    def __init__(self, num_classes: int, channels: int, size: Size, width: float) -> None:
        super().__init__()
        first, second = widen(6, width), widen(16, width)
        pad1, pad2 = 2 * (min(size) < 32), 2 * (min(size) < 28)
        self.conv1 = nn.Conv2d(channels, first, 5, padding=pad1)
        self.conv2 = nn.Conv2d(first, second, 5, padding=pad2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        height, across = (((s + 2 * pad1 - 4) // 2 + 2 * pad2 - 4) // 2 for s in size)
        self.fc1 = nn.Linear(second * height * across, widen(120, width))
        self.fc2 = nn.Linear(widen(120, width), widen(84, width))
        self.fc3 = nn.Linear(widen(84, width), num_classes)
        start_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits `[B, num_classes]`."""
        x = self.pool(self.relu(self.conv1(images)))
        x = self.pool(self.relu(self.conv2(x))).flatten(1)
        x = self.relu(self.fc2(self.relu(self.fc1(x))))
        logits: Tensor = self.fc3(x)
        return logits


register("lenet5")(LeNet5)
