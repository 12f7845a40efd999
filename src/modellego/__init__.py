"""Take trained classifiers apart and put the pieces together again, without training.

Every verb of the command line is a function here, and every type that goes in or comes out. Nothing is imported before
it is used, so that `import modellego` and the help of its commands take no time.

>>> import modellego as ml
>>> "disassemble" in dir(ml), "assemble" in ml.__all__
(True, True)
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modellego.assembly.ablation import Ablation as Ablation
    from modellego.assembly.ablation import ablation as ablation
    from modellego.assembly.parts import add as add
    from modellego.assembly.parts import replace as replace
    from modellego.assembly.parts import take as take
    from modellego.assembly.verb import assemble as assemble
    from modellego.brick import Assembled as Assembled
    from modellego.brick import Brick as Brick
    from modellego.brick import BrickInfo as BrickInfo
    from modellego.brick import load as load
    from modellego.brick import save as save
    from modellego.contribution.relevance import Thresholds as Thresholds
    from modellego.curves import AccuracyCurve as AccuracyCurve
    from modellego.curves import CurvePoint as CurvePoint
    from modellego.curves import ThresholdCurves as ThresholdCurves
    from modellego.curves import ThresholdPoint as ThresholdPoint
    from modellego.curves import curve as curve
    from modellego.curves import thresholds as thresholds
    from modellego.data import Data as Data
    from modellego.data import DataLike as DataLike
    from modellego.data import ImageSet as ImageSet
    from modellego.data import load_data as load_data
    from modellego.data.broken import skip_broken as skip_broken
    from modellego.decision_routes import RouteGraph as RouteGraph
    from modellego.decision_routes import routes as routes
    from modellego.demonstration import DemoResult as DemoResult
    from modellego.demonstration import demo as demo
    from modellego.diagnosis import Diagnosis as Diagnosis
    from modellego.diagnosis import doctor as doctor
    from modellego.disassembly.contributions import contributions as contributions
    from modellego.disassembly.each import disassemble_each as disassemble_each
    from modellego.disassembly.own_labels import OwnLabels as OwnLabels
    from modellego.disassembly.own_labels import own_labels as own_labels
    from modellego.disassembly.sampling import Samples as Samples
    from modellego.disassembly.verb import disassemble as disassemble
    from modellego.distillation import Distillation as Distillation
    from modellego.distillation import DistillResult as DistillResult
    from modellego.distillation import distill as distill
    from modellego.distillation import student_from as student_from
    from modellego.errors import AssemblyError as AssemblyError
    from modellego.errors import CaptureError as CaptureError
    from modellego.errors import CutError as CutError
    from modellego.errors import DataError as DataError
    from modellego.errors import ExportError as ExportError
    from modellego.errors import FormatError as FormatError
    from modellego.errors import HubError as HubError
    from modellego.errors import LegoError as LegoError
    from modellego.errors import MissingExtraError as MissingExtraError
    from modellego.errors import RecipeError as RecipeError
    from modellego.errors import SourceError as SourceError
    from modellego.estimator import BrickClassifier as BrickClassifier
    from modellego.evaluation import Cost as Cost
    from modellego.evaluation import Evaluation as Evaluation
    from modellego.evaluation import Prediction as Prediction
    from modellego.evaluation import Scores as Scores
    from modellego.evaluation import evaluate as evaluate
    from modellego.evaluation import predict as predict
    from modellego.evaluation import predict_proba as predict_proba
    from modellego.evaluation.inspection import inspect as inspect
    from modellego.exporting import Exported as Exported
    from modellego.exporting import export as export
    from modellego.finetuning import finetune as finetune
    from modellego.heatmaps import HeatMap as HeatMap
    from modellego.heatmaps import heatmap as heatmap
    from modellego.listing import Shelf as Shelf
    from modellego.listing import shelf as shelf
    from modellego.locate import Budget as Budget
    from modellego.preprocess import Preprocess as Preprocess
    from modellego.progress import Progress as Progress
    from modellego.progress import Update as Update
    from modellego.recipes import Plan as Plan
    from modellego.recipes import RecipeResult as RecipeResult
    from modellego.recipes import plan as plan
    from modellego.recipes import recipe as recipe
    from modellego.recipes import run as run
    from modellego.refit import RefitOptions as RefitOptions
    from modellego.reporting import report as report
    from modellego.sources import Source as Source
    from modellego.sources import load_source as load_source
    from modellego.training import Augment as Augment
    from modellego.training import Epoch as Epoch
    from modellego.training import Settings as Settings
    from modellego.training import Trained as Trained

__version__ = "0.1.0"
logging.getLogger(__name__).addHandler(logging.NullHandler())  # whoever wants the log adds a handler of their own

# Where each public name is; the imports above say the same to type checkers and editors.
_PLACES = {
    "assembly.ablation": ("Ablation", "ablation"),
    "assembly.parts": ("add", "replace", "take"),
    "assembly.verb": ("assemble",),
    "brick": ("Assembled", "Brick", "BrickInfo", "load", "save"),
    "contribution.relevance": ("Thresholds",),
    "curves": ("AccuracyCurve", "CurvePoint", "ThresholdCurves", "ThresholdPoint", "curve", "thresholds"),
    "data": ("Data", "DataLike", "ImageSet", "load_data"),
    "data.broken": ("skip_broken",),
    "decision_routes": ("RouteGraph", "routes"),
    "demonstration": ("DemoResult", "demo"),
    "diagnosis": ("Diagnosis", "doctor"),
    "disassembly.sampling": ("Samples",),
    "disassembly.contributions": ("contributions",),
    "disassembly.each": ("disassemble_each",),
    "disassembly.own_labels": ("OwnLabels", "own_labels"),
    "disassembly.verb": ("disassemble",),
    "distillation": ("DistillResult", "Distillation", "distill", "student_from"),
    "errors": (
        "AssemblyError",
        "CaptureError",
        "CutError",
        "DataError",
        "ExportError",
        "FormatError",
        "HubError",
        "LegoError",
        "MissingExtraError",
        "RecipeError",
        "SourceError",
    ),
    "estimator": ("BrickClassifier",),
    "evaluation": ("Cost", "Evaluation", "Prediction", "Scores", "evaluate", "predict", "predict_proba"),
    "evaluation.inspection": ("inspect",),
    "exporting": ("Exported", "export"),
    "finetuning": ("finetune",),
    "heatmaps": ("HeatMap", "heatmap"),
    "listing": ("Shelf", "shelf"),
    "locate": ("Budget",),
    "preprocess": ("Preprocess",),
    "progress": ("Progress", "Update"),
    "recipes": ("Plan", "RecipeResult", "plan", "recipe", "run"),
    "refit": ("RefitOptions",),
    "reporting": ("report",),
    "sources": ("Source", "load_source"),
    "training": ("Augment", "Epoch", "Settings", "Trained"),
}
_HOME = {name: f"modellego.{place}" for place, names in _PLACES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
