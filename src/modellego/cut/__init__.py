"""Cut: a plan in, a physically smaller graph out."""

from modellego.cut.empty import rescue
from modellego.cut.graph import cut
from modellego.cut.plan import CutPlan, plan_cut

__all__ = ["CutPlan", "cut", "plan_cut", "rescue"]
