"""Take trained classifiers apart and put the pieces together again, without training.

>>> import modellego as ml
>>> sorted(ml.__all__)[:3]
['Assembled', 'AssemblyError', 'Brick']
"""

from modellego.assembly import assemble
from modellego.brick import Assembled, Brick, load
from modellego.contribution.relevance import Thresholds
from modellego.disassembly.choose import Samples
from modellego.disassembly.verb import disassemble
from modellego.errors import AssemblyError, CaptureError, CutError, DataError, FormatError, LegoError, SourceError
from modellego.evaluation import Evaluation, evaluate
from modellego.locate import Budget
from modellego.preprocess import Preprocess

__version__ = "0.1.0"

__all__ = [
    "Assembled",
    "AssemblyError",
    "Brick",
    "Budget",
    "CaptureError",
    "CutError",
    "DataError",
    "Evaluation",
    "FormatError",
    "LegoError",
    "Preprocess",
    "Samples",
    "SourceError",
    "Thresholds",
    "assemble",
    "disassemble",
    "evaluate",
    "load",
]
