"""Cut: graph and keep mask in, a physically smaller graph out."""

from modellego.cut.cut import cut
from modellego.cut.rescue import rescue

__all__ = ["cut", "rescue"]
