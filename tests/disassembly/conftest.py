"""Few digits and a small network whole, for the tests of disassembling."""

import numpy as np
import pytest
import torch

from modellego import zoo
from modellego.brick import Brick
from modellego.data import Data, load_data
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


@pytest.fixture(scope="module")
def digits() -> Data:
    whole = load_data("digits")
    assert whole.test is not None
    some = np.concatenate([whole.train.of_class(k)[:12] for k in range(10)])
    return Data(whole.train.subset(some), whole.test.subset(np.arange(100)))


@pytest.fixture(scope="module")
def net() -> Brick:
    torch.manual_seed(0)
    return whole_brick(zoo.build("resnet20", 10, 1, 8, width=0.25).eval(), Preprocess(1, 8, 8), name="small")
