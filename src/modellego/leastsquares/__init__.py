"""Least squares: the rows a layer's weights are fitted on, their normal equations, and how these are solved."""

from modellego.leastsquares.normal import DualFactor, NormalEquations, Solution, add_products, solve_dual
from modellego.leastsquares.rows import (
    bias_of,
    fittable,
    input_rows,
    output_rows,
    per_image,
    pick_positions,
    set_weight_matrix,
    weight_matrix,
)

__all__ = [
    "DualFactor",
    "NormalEquations",
    "Solution",
    "add_products",
    "bias_of",
    "fittable",
    "input_rows",
    "output_rows",
    "per_image",
    "pick_positions",
    "set_weight_matrix",
    "solve_dual",
    "weight_matrix",
]
