"""Channels: integer ids for every channel of every tensor, and the groups that must stay or go together."""

from modellego.channels.analysis import analyse
from modellego.channels.channel_map import ChannelMap, KeepMask, Reading
from modellego.channels.context import RuleContext
from modellego.channels.rules import add_rule, binary_rule, elementwise_rule, opaque_rule

__all__ = [
    "ChannelMap",
    "KeepMask",
    "Reading",
    "RuleContext",
    "add_rule",
    "analyse",
    "binary_rule",
    "elementwise_rule",
    "opaque_rule",
]
