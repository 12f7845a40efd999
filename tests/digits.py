"""A few of scikit-learn's digits, so that a test takes seconds."""

import numpy as np

from modellego.data import Data, load_data


def few_digits(train: int, test: int) -> Data:
    """Return `train` training images per class, and `test` test images in all."""
    whole = load_data("digits")
    assert whole.test is not None
    some = np.concatenate([whole.train.of_class(k)[:train] for k in range(10)])
    return Data(whole.train.subset(some), whole.test.subset(np.arange(test)))
