"""Cut: graph and keep mask in, a physically smaller graph out."""

from modellego.cut.empty import rescue
from modellego.cut.graph import cut

__all__ = ["cut", "rescue"]
