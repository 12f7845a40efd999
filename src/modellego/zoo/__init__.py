"""Network definitions for users and tests: standard CIFAR variants, each with a width multiplier."""

from modellego.zoo import googlenet, lenet, resnet, vgg
from modellego.zoo.registry import build, names

__all__ = ["build", "googlenet", "lenet", "names", "resnet", "vgg"]
