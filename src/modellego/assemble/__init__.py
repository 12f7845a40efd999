"""Assemble: bricks become one new classifier, side by side or padded to one network, as they are or calibrated."""

from modellego.assemble.padded import Member, check_padded, pad
from modellego.assemble.parallel import parallel
from modellego.assemble.scaling import LayerScaling, logit_factors, scale_layers
from modellego.assemble.verb import assemble

__all__ = ["LayerScaling", "Member", "assemble", "check_padded", "logit_factors", "pad", "parallel", "scale_layers"]
