"""What a brick says of itself at a glance: one line where it is printed, a small table in a notebook."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modellego.brick.costs import cost
from modellego.drawing.cells import html_table
from modellego.drawing.words import count, counted, share

if TYPE_CHECKING:
    from modellego.brick.model import Assembled, Brick

# What the scores that verbs save are called in front of people, the brick's own first.
SCORES = {
    "accuracy": "accuracy",
    "brick_accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "brick_balanced_accuracy": "balanced accuracy",
    "base_accuracy": "base",
    "base_restricted_accuracy": "base restricted",
}


@dataclass(frozen=True)
class Summary:
    """A brick at a glance; `scores` are fractions under the names of `SCORES`, those that were measured."""

    name: str
    kind: str
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    macs: int
    parameters: int
    scores: dict[str, float]


def summarise(model: "Brick | Assembled") -> Summary:
    """Return a brick at a glance; its name is that of its directory, or of its sources where it was never saved."""
    sources = tuple(dict.fromkeys(source.name for source in model.info.sources))
    spent = cost(model)
    scores: dict[str, float] = {}
    for key, name in SCORES.items():
        value = model.info.scores.get(key)
        if value is not None:
            scores.setdefault(name, value)
    return Summary(
        model.name or " + ".join(sources), model.info.kind, model.classes, sources, spent.macs, spent.parameters, scores
    )


def one_line(model: "Brick | Assembled") -> str:
    """Return what `repr` says: kind, name, classes, MACs, parameters, scores."""
    if "info" not in vars(model):  # half made: an error is on its way that wants to name it
        return f"<{type(model).__name__}>"
    found = summarise(model)
    told = [f"{count(found.macs)} MACs", f"{count(found.parameters)} parameters"]
    told += [f"{name} {share(value)} %" for name, value in found.scores.items()]
    name = f" {found.name}" if found.name else ""
    classes = f"{counted(len(found.classes), 'class', 'classes')} ({few(found.classes)})"
    return f"<{type(model).__name__}{name}: {classes}, {', '.join(told)}>"


def as_html(model: "Brick | Assembled") -> str:
    """Return what a notebook shows."""
    found = summarise(model)
    rows = [
        ["classes", f"{len(found.classes):,}: {few(found.classes, 12)}"],
        ["MACs of one image", count(found.macs)],
        ["parameters", count(found.parameters)],
        *([name, f"{share(value)} %"] for name, value in found.scores.items()),
    ]
    if found.sources:
        rows.insert(1, ["from", few(found.sources)])
    if model.info.reject is not None:
        rows.append(["turns away", f"{model.info.reject.statistic} below {model.info.reject.threshold:.4g}"])
    return html_table(f"{type(model).__name__} {found.name}".strip(), rows, below=model.info.notes)


def few(names: Sequence[str], most: int = 5) -> str:
    """Name the first of many.

    >>> few(["a", "b", "c"], 2)
    'a, b, …'
    """
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
