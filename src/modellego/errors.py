"""The exception tree: every error a user can cause is a `LegoError` whose text names the thing and the remedy."""


class LegoError(Exception):
    """Base of all errors that modellego raises on purpose; the command line prints it in one line and exits with 2."""


class CaptureError(LegoError):
    """The model cannot be captured: it is no classifier, or it uses an op that is not on the closed list."""


class SourceError(LegoError):
    """A source model cannot be had: unknown name, missing file, weights that do not fit."""


class DataError(LegoError):
    """The data cannot be used: unknown classes, a class without images, corrupt images, wrong channels."""


class CutError(LegoError):
    """The request for a cut cannot be met: impossible budget, thresholds out of range, nothing to cut."""


class AssemblyError(LegoError):
    """Bricks cannot be assembled as asked: unlike topologies, layers that cannot be padded, label clashes."""


class FormatError(LegoError):
    """A brick on disk is broken, of an unknown version, or holds something that is not allowed."""


class ExportError(LegoError):
    """A brick cannot be exported as asked, or the file would not compute what the brick does."""


class HubError(LegoError):
    """A model hub cannot be reached, has no such brick, or is not told what it asks for."""


class RecipeError(LegoError):
    """A recipe cannot be run as it is written; the text names its file and line."""


class MissingExtraError(LegoError):
    """An optional dependency is not installed; the text names the extra to install."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: run  pip install 'modellego[{extra}]'")
