"""Locate: from scores and budgets to a keep mask over channel groups."""

from modellego.locate.budget import Budget
from modellego.locate.costs import CostModel
from modellego.locate.criteria import Request, criterion, meant, names, rank
from modellego.locate.curve import Curve, rank_by_scores

__all__ = ["Budget", "CostModel", "Curve", "Request", "criterion", "meant", "names", "rank", "rank_by_scores"]
