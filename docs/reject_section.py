"""The section of docs/results.md about saying "none of these", from benchmarks/results/reject.json."""

from collections.abc import Callable
from typing import Any

from modellego.paper.markdown import table

STATISTICS = ("energy", "max_logit", "max_probability", "margin")


def percent(value: float) -> str:
    """Write a fraction as per cent.

    >>> percent(0.926)
    '92.6'
    """
    return f"{100 * value:.1f}"


def section(found: dict[str, Any], origin: Callable[[dict[str, Any]], str]) -> str:
    """Return the section: every statistic's rule, off the task and on it."""
    keep = found["settings"]["keep"]
    rows = []
    for title, row in found["rows"].items():
        for statistic in STATISTICS:
            told, rule = row[statistic], row[statistic]["views 3"]
            figures = (rule["answered_on"], rule["rejected_off"], row["accuracy"], rule["accuracy"])
            answered = [told[f"views {v}"]["answered_on"] for v in (0, 1)]
            cells = [f"{told['auroc']:.3f}", *map(percent, figures), percent(rule["accuracy_answered"])]
            rows.append([f"{title}: {statistic}", *cells, *map(percent, answered)])
    header = ["model: statistic", "AUROC", "own answered", "others turned away", "accuracy without rule", "with"]
    header += ["of those answered", "own answered, no views", "1 view"]
    held, images = found["settings"]["held"], found["settings"]["images"]
    text = (
        f"The threshold is taken from {held} train images a class that neither refit nor head saw, and three altered "
        f"views of each, so that {percent(keep)} % of them pass; no image of another class is used. Test images score "
        f"it: up to {images:,} of the model's own classes, and as many of others (CIFAR-10's other classes; for an "
        "assembled model CIFAR-100's too). *With*: what is both answered and right. The sources were trained on the "
        "calibration images, so they are surer of these than of new ones: the last two columns show the share answered "
        "where the threshold is taken from the images alone, and from one view of each. Energy and "
        "three views became the defaults in the light of such rows, so that these flatter them a little; all are shown."
    )
    return "\n\n".join(['## "None of these"', origin(found), text, table(header, rows)])
