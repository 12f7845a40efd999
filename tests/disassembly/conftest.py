"""Few digits and a small network whole, for the tests of disassembling."""

import pytest
import torch

from modellego import zoo
from modellego.brick import Brick
from modellego.data import Data
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick
from tests.digits import few_digits


@pytest.fixture(scope="module")
def digits() -> Data:
    return few_digits(12, 100)


@pytest.fixture(scope="module")
def net() -> Brick:
    torch.manual_seed(0)
    return whole_brick(zoo.build("resnet20", 10, 1, 8, width=0.25).eval(), Preprocess(1, 8, 8), name="small")
