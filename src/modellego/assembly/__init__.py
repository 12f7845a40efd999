"""Assemble: bricks become one new classifier, side by side or padded to one network, as they are or calibrated."""

from modellego.assembly.padding.padded import Member, check_padded, pad
from modellego.assembly.parts import add, replace, take
from modellego.assembly.scaling import LayerScaling, logit_factors, scale_layers
from modellego.assembly.side_by_side import parallel
from modellego.assembly.verb import assemble

__all__ = [
    "LayerScaling",
    "Member",
    "add",
    "assemble",
    "check_padded",
    "logit_factors",
    "pad",
    "parallel",
    "replace",
    "scale_layers",
    "take",
]
