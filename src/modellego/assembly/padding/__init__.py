"""Alignment padding: bricks of one topology become one block-diagonal network (the paper's way of assembling)."""

from modellego.assembly.padding.padded import Member, check_padded, pad

__all__ = ["Member", "check_padded", "pad"]
