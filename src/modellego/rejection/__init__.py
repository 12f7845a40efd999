"""Rejection: the confidence below which a model says "none of these"."""

from modellego.rejection.rule import KEEP, STATISTIC, add_reject_rule, check_rule

__all__ = ["KEEP", "STATISTIC", "add_reject_rule", "check_rule"]
