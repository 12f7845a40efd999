"""Recipes: sources, data, bricks, assembly, calibration, evaluation and exports in one file, run step by step."""

from modellego.recipes.planning import Plan, PlannedStep, plan
from modellego.recipes.verb import Done, RecipeResult, recipe, run

__all__ = ["Done", "Plan", "PlannedStep", "RecipeResult", "plan", "recipe", "run"]
