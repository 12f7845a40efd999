"""The embedded data: scikit-learn's 1,797 handwritten digits, 8x8 grey."""

import numpy as np

from modellego.data.images import ImageSet
from modellego.data.splits import Splits


def read_digits() -> Splits:
    """Read scikit-learn's handwritten digits as images `[1, 8, 8]` in [0,1]; every fifth of each
    digit is test.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998.

    >>> splits = read_digits()
    >>> len(splits.train), len(splits.test)
    (1442, 355)
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    whole = ImageSet.from_tensor(images, digits.target, [str(k) for k in range(10)])
    test = np.zeros(len(whole), bool)
    for digit in range(10):
        test[whole.of_class(digit)[4::5]] = True
    return Splits(whole.subset(np.flatnonzero(~test)), whole.subset(np.flatnonzero(test)))
