"""The brick: a small, safe, self-contained classifier, in memory and on disk."""

from modellego.brick.format import check_target, is_brick, load, save
from modellego.brick.info import FORMAT_VERSION, Assembly, BrickInfo, Cut, Origin, RecipeStep, make_info
from modellego.brick.joint import Joint
from modellego.brick.model import AnyBrick, Assembled, Brick, assembled_info
from modellego.brick.reject_rule import Reject, confidence, predict_reject

__all__ = [
    "FORMAT_VERSION",
    "AnyBrick",
    "Assembled",
    "Assembly",
    "Brick",
    "BrickInfo",
    "Cut",
    "Joint",
    "Origin",
    "RecipeStep",
    "Reject",
    "assembled_info",
    "check_target",
    "confidence",
    "is_brick",
    "load",
    "make_info",
    "predict_reject",
    "save",
]
