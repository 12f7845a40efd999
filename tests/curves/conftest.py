"""Digits, and an untrained LeNet-5 for them, whole."""

import pytest
import torch

from modellego import zoo
from modellego.brick import Brick
from modellego.data import Data, load_data
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@pytest.fixture(scope="session")
def digits() -> Data:
    return load_data("digits")


@pytest.fixture(scope="session")
def whole() -> Brick:
    torch.manual_seed(0)
    net = zoo.build("lenet5", 10, channels=1, input_size=8)
    return whole_brick(net, Preprocess(1, 8, 8), [str(k) for k in range(10)], "lenet5")
