"""The model card: what a brick is, in words, for people and for model hubs."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modellego.brick.model import Assembled, Brick

_FRONT = """---
library_name: modellego
pipeline_tag: image-classification
tags:
- modellego
- brick
- image-classification
---
"""
_LOAD = """```python
import modellego
brick = modellego.load("path/to/this/directory")
probabilities = brick(images).softmax(1)  # images: float [B, channels, height, width] in [0, 1], of any size
```"""
_MANY = 200  # classes listed one by one


def model_card(brick: Brick | Assembled, weights_bytes: int) -> str:
    """Return a brick's `README.md`: front matter for hubs, then use, input, classes, lineage and scores."""
    info = brick.info
    parts = [
        _FRONT + f"# Brick of {_count(len(info.classes), 'class')}: {_few(info.classes)}",
        f"An image classifier made with modellego. {_built(brick)} "
        f"{_parameters(brick):,} parameters, {weights_bytes:,} bytes of weights.",
        "## Use\n\n" + _LOAD,
        "## Input\n\n" + "\n".join(_inputs(brick)),
        "## Classes\n\n" + _classes(info.classes),
    ]
    if info.sources:
        rows = [
            (s.name, _of(len(s.of), s.total), _few(s.classes), _number(s.parameters), _number(s.macs))
            for s in info.sources
        ]
        parts.append(
            "## Where it comes from\n\n" + _table(("source", "classes taken", "which", "parameters", "MACs"), rows)
        )
    parts.append("## How it was made\n\n" + "\n".join(_made(brick)))
    if info.scores:
        rows_ = [(name, "not measured" if value is None else f"{value:.6g}") for name, value in info.scores.items()]
        parts.append("## Scores\n\n" + _table(("measure", "value"), rows_))
    if info.notes:
        parts.append("## Notes\n\n" + "\n".join("> " + _escape(line) for line in info.notes.splitlines()))
    return "\n\n".join(parts) + "\n"


def _built(brick: Brick | Assembled) -> str:
    if isinstance(brick, Brick):
        return "One network."
    return f"{len(brick.bricks)} bricks side by side, each with its own preprocessing, their outputs combined."


def _parameters(brick: Brick | Assembled) -> int:
    return sum(p.numel() for p in brick.parameters())


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
    if not options:
        return ""
    return " (" + ", ".join(f"{_escape(k)} {_short(v)}" for k, v in options.items()) + ")"


def _short(value: Any) -> str:
    """Write an option's value, unless it is a long table."""
    text = json.dumps(value, ensure_ascii=False)
    return _escape(text) if len(text) <= 80 or isinstance(value, str) else f"({len(value)} items, in `brick.json`)"


def _of(taken: int, total: int | None) -> str:
    return str(taken) if total is None else f"{taken} of {total}"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}es"


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(_escape(n) for n in names[:5])
    return shown + (", …" if len(names) > 5 else "")


def _escape(text: str) -> str:
    """Keep a name a name: nothing in it is markup."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~$&-])", r"\\\1", text)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(map(_escape, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
