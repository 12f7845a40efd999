"""Classes that are made of several of a source's: the source with those joined, and the network to be cut."""

from collections.abc import Sequence

from modellego.brick import Brick
from modellego.capture.joined import join_logits, joined_at, unjoined
from modellego.capture.network import Network
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.data import Target, Vocabulary, resolve_targets
from modellego.disassembly.provenance import lineage
from modellego.errors import DataError


def task_of(whole: Brick, classes: str | Sequence[str | int]) -> tuple[list[Target], bool]:
    """Return the classes that are asked for, and whether any is, or could be, made of several of the source's."""
    targets = resolve_targets(classes, whole.classes)
    end = list(whole.network.graph.nodes)[-1].args[0]
    return targets, any(t.joined for t in targets) or joined_at(end) is not None


def task_vocabulary(whole: Brick, classes: str | Sequence[str | int]) -> tuple[Vocabulary, range | tuple[int, ...]]:
    """Return what labels may call the classes of a disassembly, and which of them are its task.

    Raises:
        DataError: classes that there are none of, or a new name that a class beside the task has.

    >>> import torch
    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    >>> found, task = task_vocabulary(whole_brick(net, Preprocess(1, 8, 8), ["tabby", "tiger cat", "dog"]), "cat=0-1")
    >>> found.classes, found.members["cat"], list(task)
    (('cat', 'dog'), ('tabby', 'tiger cat'), [0])
    """
    targets, joined = task_of(whole, classes)
    if not joined:
        return whole.vocabulary, tuple(t.members[0] for t in targets)
    members = {t.name: _member_names(whole, t) for t in targets if t.joined or t.name in whole.info.members}
    rest = _rest(whole, targets)
    members |= {whole.classes[k]: whole.info.members[whole.classes[k]] for k in rest if whole.classes[k] in members}
    place = {k: i for i, target in enumerate(targets) for k in target.members}
    place |= {k: len(targets) + i for i, k in enumerate(rest)}
    numbers = {number: place[k] for number, k in whole.vocabulary.numbers.items()}
    names = (*(t.name for t in targets), *(whole.classes[k] for k in rest))
    return Vocabulary(names, members, numbers, whole.vocabulary.total), range(len(targets))


def with_joined(whole: Brick, classes: str | Sequence[str | int]) -> tuple[Brick, Network]:
    """Return the source with the task's classes first and joined, and the same network without all other logits.

    Both are copies. A class's logit is the log-sum-exp of its members', so that its probability is the sum of theirs.
    """
    targets, _ = task_of(whole, classes)
    vocabulary, _ = task_vocabulary(whole, classes)
    bare, inner = unjoined(whole.captured())
    channels = analyse(bare)
    runs = [sorted(i for k in t.members for i in inner[k]) for t in targets]
    others = [list(inner[k]) for k in _rest(whole, targets)]
    flat, rest = [i for run in runs for i in run], [i for run in others for i in run]
    small, full = (cut(plan_cut(bare, channels, channels.keep_all(), task)) for task in (flat, flat + rest))
    join_logits(small, [len(run) for run in runs])
    join_logits(full, [len(run) for run in [*runs, *others]])
    info = whole.info.changed(
        classes=vocabulary.classes,
        members=dict(vocabulary.members),
        sources=lineage(whole.info.sources, [1] * bare.num_logits, flat),
    )
    return Brick(full.graph, info), small


def _rest(whole: Brick, targets: Sequence[Target]) -> list[int]:
    asked = {k for target in targets for k in target.members}
    rest = [k for k in range(len(whole.classes)) if k not in asked]
    double = next((t.name for t in targets if t.joined and t.name in {whole.classes[k] for k in rest}), None)
    if double is not None:
        raise DataError(f"the model has a class {double!r} beside those it is to be made of: take another name")
    return rest


def _member_names(whole: Brick, target: Target) -> tuple[str, ...]:
    """Return the names of the source's classes in a target, in the order of their logits."""
    names = [whole.classes[k] for k in sorted(target.members)]
    return tuple(member for name in names for member in whole.info.members.get(name, (name,)))
