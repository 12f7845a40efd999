"""Heads: logits of several bricks made comparable, from arrays to arrays; nothing here runs a network."""

from modellego.assembly.heads.affine import fit_affine
from modellego.assembly.heads.convex import Penalty
from modellego.assembly.heads.fitted import Affine, CalibratedHead, CalibrationReport
from modellego.assembly.heads.prior import fit_prior
from modellego.assembly.heads.rows import Anchor, Rows, concatenated_head, make_rows
from modellego.assembly.heads.select import fit_head

__all__ = [
    "Affine",
    "Anchor",
    "CalibratedHead",
    "CalibrationReport",
    "Penalty",
    "Rows",
    "concatenated_head",
    "fit_affine",
    "fit_head",
    "fit_prior",
    "make_rows",
]
