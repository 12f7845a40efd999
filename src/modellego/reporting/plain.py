"""The first paragraph of a report, for people who do not know the words: what the model does, how well, how small."""

import numpy as np

from modellego.reporting.contents import ReportData, Score

_NAMED = 12  # classes that are named one by one


def headline(data: ReportData) -> tuple[Score, Score | None, bool] | None:
    """Return the model's own score, base restricted beside it, and whether the two are class-balanced accuracies.

    Like is set beside like: plain accuracy unless base restricted is known class-balanced only.
    """
    if not data.scores or data.scores[-1].accuracy is None:
        return None
    own = data.scores[-1]
    beside = next((s for s in data.scores if s.name.startswith("base restricted")), None)
    return own, beside, beside is not None and beside.accuracy is None and own.balanced is not None


def plain_words(data: ReportData) -> str:
    """Say in everyday words what a model does, how well, how small it is, and what it turns away.

    >>> from modellego.reporting.contents import Lineage
    >>> plain_words(ReportData("pets", "", ("cat", "dog"), Lineage("pets", "brick", 2), scores=(Score("pets", 0.914),)))
    'This model looks at an image and says which of 2 things it shows: cat or dog. Of 100 images it names about \
91 rightly. It always answers with one of these, whatever the image shows.'
    """
    return " ".join(filter(None, (_does(data), _well(data), _small(data), _turns_away(data))))


def _does(data: ReportData) -> str:
    names = data.classes
    if len(names) == 1:
        return f"This model looks at an image and has one answer: {names[0]}."
    shown = ", ".join(names[:3])
    listed = f": {', '.join(names[:-1])} or {names[-1]}" if len(names) <= _NAMED else f", such as {shown}"
    return f"This model looks at an image and says which of {len(names)} things it shows{listed}."


def _well(data: ReportData) -> str:
    found = headline(data)
    if found is None or len(data.classes) == 1:
        return ""
    own, beside, balanced = found
    mine, fair = (_share(s, balanced) if s is not None else None for s in (own, beside))
    said = f"Of 100 images it names about {_percent(mine)} rightly"
    if fair is None:
        return said + "."
    if _sources(data) > 1:
        return f"{said}; the uncut models, each asked about its own classes alone, about {_percent(fair)}."
    return f"{said}; the uncut model, given the same choice of answers, about {_percent(fair)}."


def _small(data: ReportData) -> str:
    if len(data.sizes) < 2:
        return ""
    own, sources = data.sizes[-1], data.sizes[:-1]
    said = []
    for field, words in (("parameters", "of the learnt numbers"), ("macs", "of the arithmetic")):
        values = [getattr(size, field) for size in sources]
        if getattr(own, field) is not None and None not in values and sum(values):
            said.append(f"{_percent(getattr(own, field) / sum(values))} % {words}")
    if not said:
        return ""
    whole = (
        "the model it was cut from" if len(sources) == 1 else f"the {len(sources)} models it was made from, together"
    )
    return f"It has {' and '.join(said)} of {whole}."


def _turns_away(data: ReportData) -> str:
    off = data.off_task
    if off is not None and off.threshold is not None:
        own, others = (_percent(float(np.mean(values < off.threshold))) for values in (off.inside, off.outside))
        return (
            f"Of 100 images of other things it turns away {others} as “none of these”, and of 100 images of its own "
            f"classes {own} too."
        )
    if data.rejects:
        return "Of an image that it is not sure of, it says “none of these”."
    return "It always answers with one of these, whatever the image shows." if len(data.classes) > 1 else ""


def _sources(data: ReportData) -> int:
    return max(1, len(data.sizes) - 1)


def _share(score: Score, balanced: bool) -> float | None:
    return score.balanced if balanced else score.accuracy


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"
