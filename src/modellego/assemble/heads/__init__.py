"""Heads: logits of several bricks made comparable, from arrays to arrays; nothing here runs a network."""

from modellego.assemble.heads.affine import fit_affine
from modellego.assemble.heads.convex import Penalty
from modellego.assemble.heads.prior import fit_prior
from modellego.assemble.heads.reject import choose_threshold, kept_share
from modellego.assemble.heads.select import fit_head
from modellego.assemble.heads.values import Affine, Anchor, Head, Report, Rows, concatenated_head, make_rows
from modellego.assemble.heads.views import VIEWS, altered_views

__all__ = [
    "VIEWS",
    "Affine",
    "Anchor",
    "Head",
    "Penalty",
    "Report",
    "Rows",
    "altered_views",
    "choose_threshold",
    "concatenated_head",
    "fit_affine",
    "fit_head",
    "fit_prior",
    "kept_share",
    "make_rows",
]
