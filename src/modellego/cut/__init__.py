"""Cut: a plan in, a physically smaller graph out."""

from modellego.cut.cut import cut
from modellego.cut.plan import CutPlan, plan_cut
from modellego.cut.rescue import rescue

__all__ = ["CutPlan", "cut", "plan_cut", "rescue"]
