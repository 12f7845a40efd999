"""What a model was made of: its family tree, sizes beside its sources, layer widths before and after, settings."""

import json
from collections.abc import Sequence
from dataclasses import replace

from modellego.brick import Assembled, Brick, Origin
from modellego.data import match_labels
from modellego.evaluation import cost, layer_widths
from modellego.reporting.contents import Lineage, ModelSize, Width


def lineage(model: Brick | Assembled, name: str) -> Lineage:
    """Return the family tree: the model, the bricks in it, and the sources these were cut from.

    >>> from torch import nn
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> brick = whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Preprocess(1, 8, 8), ["a", "b"], "linear")
    >>> lineage(brick, "small").made_from[0].name
    'linear'
    """
    spent = cost(model)
    if isinstance(model, Assembled):
        parents = tuple(lineage(child, name) for name, child in zip(_names(model), _children(model), strict=True))
        detail = _joint_words(model)
        return Lineage(name, "assembled", len(model.classes), spent.parameters, spent.macs, detail, parents)
    parents = tuple(_source(origin) for origin in model.info.sources)
    detail = "uncut" if model.info.cut is None else f"cut by {model.info.cut.criterion}"
    return Lineage(name, "brick", len(model.classes), spent.parameters, spent.macs, detail, parents)


def _names(model: Assembled) -> tuple[str, ...]:
    """Name the bricks of an assembled model: as they were called when it was put together, else by numbers."""
    if model.info.assembly is not None:
        return model.info.assembly.names
    return tuple(f"brick {number}" for number in range(1, len(model.bricks) + 1))


def groups(model: Brick | Assembled) -> tuple[str, ...]:
    """Say for each class which brick of an assembled model has it; nothing for a single brick or unclear ones."""
    if isinstance(model, Brick):
        return ()
    owner: list[str | None] = [None] * len(model.classes)
    for name, child in zip(_names(model), _children(model), strict=True):
        for place, number in enumerate(match_labels(child.classes, model.classes)):
            mine = int(number)
            if mine >= 0 and model.classes[mine].endswith(child.classes[place]):
                owner[mine] = name if owner[mine] is None else "several bricks"
    return tuple(found or "the joint" for found in owner)


def sizes(model: Brick | Assembled, name: str, sources: Sequence[Brick] = ()) -> tuple[ModelSize, ...]:
    """Return the sources' sizes, as recorded or as measured on those at hand, and the model's own last."""
    if sources:
        spent = [(s.info.sources[0] if s.info.sources else None, cost(s)) for s in sources]
        rows = [ModelSize(o.name if o else "source", c.parameters, c.macs, c.bytes) for o, c in spent]
        classes = [len(s.classes) for s in sources]
    else:
        # two sources may bear one name: a ResNet-20 of CIFAR-10 and one of CIFAR-100
        origins = {(o.name, o.total, o.parameters, o.macs): o for o in model.info.sources}.values()
        rows = [ModelSize(o.name, o.parameters, o.macs) for o in origins]
        classes = [o.total if o.total is not None else len(o.classes) for o in origins]
    names = [row.name for row in rows]
    rows = [
        replace(row, name=f"{row.name} ({count})") if names.count(row.name) > 1 else row
        for row, count in zip(rows, classes, strict=True)
    ]
    own = cost(model)
    return (*rows, ModelSize(name, own.parameters, own.macs, own.bytes))


def widths(model: Brick | Assembled, sources: Sequence[Brick] = ()) -> tuple[Width, ...]:
    """Compare the output channels of layers before the cut, as a brick records or a source given shows, and after."""
    found = []
    named = zip(_children(model), _names(model), strict=True) if isinstance(model, Assembled) else ()
    names: dict[Brick | Assembled, str] = dict(named)
    bricks = [part for part in model.modules() if isinstance(part, Brick)]
    for number, brick in enumerate(bricks, 1):
        name = brick.info.sources[0].name if brick.info.sources else ""
        before = brick.info.cut.widths if brick.info.cut is not None else {}
        if not before:  # a brick of the format's first version
            fitting = [s for s in sources if s.info.sources and s.info.sources[0].name == name]
            source = fitting[0] if fitting else sources[0] if len(sources) == 1 and len(bricks) == 1 else None
            before = layer_widths(source) if source is not None else {}
        own = names.get(brick, f"brick {number}")
        group = "" if len(bricks) == 1 else own if own == name else f"{own}, of {name}"
        after = layer_widths(brick)
        found += [Width(path, before[path], count, group) for path, count in after.items() if path in before]
    return tuple(found)


def facts(model: Brick | Assembled) -> tuple[tuple[str, str], ...]:
    """Return how a model was made, as pairs of words."""
    info = model.info
    rows = []
    if info.cut is not None:
        rows.append(("Criterion", info.cut.criterion))
        rows += [(key.replace("_", " ").capitalize(), _plain(value)) for key, value in info.cut.options.items()]
        share = info.cut.kept / info.cut.total if info.cut.total else 1.0
        rows.append(("Channel groups kept", f"{info.cut.kept:,} of {info.cut.total:,} ({100 * share:.0f} %)"))
    if info.refit is not None:
        rows.append(("Refit", _refit_words(info.refit)))
    if isinstance(model, Assembled):
        for name, child in zip(_names(model), _children(model), strict=True):
            how = [words for key, words in facts(child) if key in ("Criterion", "Channel groups kept", "Joint")]
            rows.append((name, ", ".join(how) or "uncut"))
        rows.append(("Joint", _joint_words(model)))
    if info.reject is not None:
        rows.append(
            ("Rejects", f"images with {info.reject.statistic.replace('_', ' ')} below {info.reject.threshold:g}")
        )
    if info.preprocess is not None:
        p = info.preprocess
        colour = "grey" if p.channels == 1 else "RGB" if p.channels == 3 else f"{p.channels} channels"
        fitted = "cropped" if p.resize == "crop" else "squashed"
        rows.append(("Input", f"{p.height} x {p.width} {colour}; images of other sizes are {fitted}"))
    return tuple(rows)


def _children(model: Assembled) -> list[Brick | Assembled]:
    return [child for child in model.bricks if isinstance(child, Brick | Assembled)]


def _source(origin: Origin) -> Lineage:
    count = origin.total if origin.total is not None else len(origin.classes)
    taken = ", ".join(origin.classes[:4]) + (", …" if len(origin.classes) > 4 else "")
    return Lineage(origin.name, "source", count, origin.parameters, origin.macs, f"taken from it: {taken}")


def _joint_words(model: Assembled) -> str:
    joint = model.joint
    steps = [
        "a common linear head" if joint.linear is not None else "",
        "a scale and shift for each logit" if joint.scale is not None or joint.shift is not None else "",
        "logits of one class merged" if joint.merge is not None else "",
    ]
    return ", ".join(step for step in steps if step) or "logits side by side"


def _refit_words(refit: object) -> str:
    if not isinstance(refit, dict):
        return _plain(refit)
    words = [str(refit.get("method", "done"))]
    if refit.get("images"):
        words.append(f"{refit['images']:,} images")
    if refit.get("error_before") is not None and refit.get("error_after") is not None:
        words.append(f"mean relative error {refit['error_before']:.3g} before, {refit['error_after']:.3g} after")
    tuning = refit.get("tuning")
    if isinstance(tuning, dict) and tuning.get("kept_steps"):
        words.append(f"tuned without labels for {tuning['kept_steps']} steps")
    return ", ".join(words)


def _plain(value: object) -> str:
    """A recorded option in a few words."""
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(v)}" for key, v in value.items() if v is not None)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return f"{len(value)} entries" if len(value) > 8 else ", ".join(_plain(v) for v in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
