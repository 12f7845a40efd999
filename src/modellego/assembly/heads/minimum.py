"""Where a smooth objective is least: L-BFGS, which all heads are fitted by."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def minimum(objective: Callable[[Vector], tuple[float, Vector]], first: Vector, **options: float) -> Vector:
    """Return the vector at which L-BFGS ends from `first`; `objective` gives a value and its slope, float64.

    >>> minimum(lambda x: (float(x @ x), 2 * x), np.ones(2), maxiter=10).round(6).tolist()
    [0.0, 0.0]
    """
    from scipy.optimize import minimize  # a third of a second, which reading a head need not wait

    found = minimize(objective, first, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float64)
