"""The model card: what a brick is, in words, for people and for model hubs."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modellego.brick.format.card_metadata import front_matter
from modellego.brick.info import Origin
from modellego.brick.model import AnyBrick, Assembled, Brick
from modellego.brick.summary import SCORES, summarise
from modellego.drawing.words import count, share, size

_LOAD = """```python
import modellego
brick = modellego.load("path/to/this/directory")
probabilities = brick(images).softmax(1)  # images: float [B, channels, height, width] in [0, 1], of any size
```"""
_READ = (
    "*Base* is the source with all its classes, *base restricted* the source asked for this brick's classes only: "
    "a brick with fewer classes is right more often for that reason alone."
)
_TOLD = {
    **SCORES,
    "macs": "MACs of one image",
    "macs_base": "MACs of one image, source",
    "parameters": "parameters",
    "parameters_base": "parameters, source",
}
_MANY = 200  # classes listed one by one


def model_card(brick: AnyBrick, weights_bytes: int) -> str:
    """Return a brick's `README.md`: metadata for hubs, then what it does, use, input, classes, lineage and scores."""
    info = brick.info
    title = f"Brick of {_count(len(info.classes), 'class')}: {', '.join(info.classes[:5])}"
    title += ", …" if len(info.classes) > 5 else ""
    parts = [
        front_matter(brick, title) + f"# {_escape(title)}",
        _summary(brick, weights_bytes),
        "## Use\n\n" + _LOAD,
        "## Input\n\n" + "\n".join(_inputs(brick)),
        "## Classes\n\n" + _classes(info.classes),
    ]
    if info.sources:
        parts.append("## Where it comes from\n\n" + _lineage(info.sources))
    parts.append("## How it was made\n\n" + "\n".join(_made(brick)))
    if info.scores:
        rows = [(_TOLD.get(name, name), _measured(name, value)) for name, value in info.scores.items()]
        parts.append("## Scores\n\n" + _table(("measure", "value"), rows) + "\n\n" + _READ)
    if info.notes:
        parts.append("## Notes\n\n" + "\n".join("> " + _escape(line) for line in info.notes.splitlines()))
    return "\n\n".join(parts) + "\n"


def _summary(brick: AnyBrick, weights_bytes: int) -> str:
    """Say what the model does, how well, how small it is, and what it turns away."""
    found = summarise(brick)
    told = [f"An image classifier that tells {_count(len(found.classes), 'class')} apart, made with modellego."]
    told.append(_built(brick))
    if "accuracy" in found.scores:
        told.append(f"It names {share(found.scores['accuracy'])} % of test images of its classes right.")
    told.append(f"One image takes {count(found.macs)} multiply-accumulates;")
    told.append(f"it has {count(found.parameters)} parameters, {size(weights_bytes)} of weights.")
    if brick.info.reject is not None:
        told.append('Of images that it is not sure of it says "none of these".')
    return " ".join(told)


def _lineage(sources: Sequence[Origin]) -> str:
    rows = [
        (
            s.name,
            _of(len(s.of), s.total),
            _few(s.classes),
            count(s.parameters),
            count(s.macs),
            s.licence or "not known",
            s.origin or "not known",
        )
        for s in sources
    ]
    head = ("source", "classes taken", "which", "parameters", "MACs", "licence of its weights", "where they come from")
    text = _table(head, rows)
    asked = [s.name for s in sources if s.licence is None or s.origin is None]
    if asked:
        names = ", ".join(map(_escape, dict.fromkeys(asked)))
        text += f"\n\nBefore you pass this brick on, ask who trained {names} under which licence the weights are."
    return text


def _measured(name: str, value: float | None) -> str:
    """Write a score as people read it: shares in per cent, large numbers with a unit."""
    if value is None:
        return "not measured"
    if name in SCORES or name.endswith("accuracy"):
        return f"{share(value)} %"
    return count(value) if abs(value) >= 1000 else f"{value:.4g}"


def _built(brick: Brick | Assembled) -> str:
    if isinstance(brick, Brick):
        return "One network."
    return f"{len(brick.bricks)} bricks side by side, each with its own preprocessing, their outputs combined."


def _leaves(brick: Brick | Assembled) -> list[Brick]:
    return [module for module in brick.modules() if isinstance(module, Brick)]


def _inputs(brick: Brick | Assembled) -> Iterable[str]:
    leaves = _leaves(brick)
    for i, leaf in enumerate(leaves):
        shape = " x ".join(map(str, leaf.info.input_shape or ()))
        who = "The network" if len(leaves) == 1 else f"Network {i}"
        p = leaf.info.preprocess
        if p is None:
            yield f"- {who} reads {shape} as it is, without preprocessing."
        else:
            numbers = f"mean {[round(m, 6) for m in p.mean]}, standard deviation {[round(s, 6) for s in p.std]}"
            yield (
                f"- {who} reads {shape} (channels x height x width); "
                f"images are resized ({p.resize}) and normalised: {numbers}."
            )


def _classes(classes: tuple[str, ...]) -> str:
    table = _table(("logit", "class"), [(str(i), name) for i, name in enumerate(classes[:_MANY])])
    return table + (f"\n\n… and {len(classes) - _MANY:,} more, in `brick.json`." if len(classes) > _MANY else "")


def _made(brick: Brick | Assembled) -> Iterable[str]:
    info = brick.info
    for i, leaf in enumerate(_leaves(brick)):
        who = "" if leaf is brick else f"Network {i}: "
        cut = leaf.info.cut
        if cut is None:
            yield f"- {who}Not cut."
        else:
            kept = f"{cut.kept:,} of {cut.total:,} channel groups kept{_options(cut.options)}"
            yield f"- {who}Cut by {_escape(cut.criterion)}: {kept}."
        yield f"- {who}Refit: " + ("not done." if leaf.info.refit is None else f"done{_options(leaf.info.refit)}.")
    if isinstance(brick, Assembled):
        joint = brick.joint
        steps = [name for name in ("linear", "scale", "shift", "merge") if getattr(joint, name) is not None]
        yield f"- Joint: {', '.join(steps) if steps else 'outputs side by side'}."
    if info.reject is not None:
        yield f'- Answers "none of these" where {info.reject.statistic} is below {info.reject.threshold:.6g}.'


def _options(options: Mapping[str, Any]) -> str:
    """Write options in brackets, without those that nobody set."""
    told = [f"{_escape(k.replace('_', ' '))} {_short(v)}" for k, v in options.items() if v is not None]
    return f" ({', '.join(told)})" if told else ""


def _short(value: Any) -> str:
    """Write an option's value, numbers to three digits, unless it is a long table."""
    if isinstance(value, Mapping):
        said = " and ".join(f"{k.replace('_', ' ')} {_short(v)}" for k, v in value.items() if v is not None)
        return _escape(said) if len(said) <= 80 else f"({len(value)} items, in `brick.json`)"
    if isinstance(value, float):
        return f"{value:.3g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _escape(text) if len(text) <= 80 or isinstance(value, str) else f"({len(value)} items, in `brick.json`)"


def _of(taken: int, total: int | None) -> str:
    return str(taken) if total is None else f"{taken} of {total}"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}es"


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _escape(text: str) -> str:
    """Keep a name a name: nothing in it is markup."""
    return re.sub(r"(^[+-]|[\\`*_{}\[\]()#!|<>~$&])", r"\\\1", text)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(map(_escape, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
