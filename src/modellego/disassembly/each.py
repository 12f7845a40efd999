"""One brick per class: all classes in one go over the images, class by class, one class's sums held at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Unpack

from torch import nn

from modellego.brick import Brick
from modellego.contribution.stream import ClassSums, class_sums
from modellego.data import Data, DataLike, MappingLike
from modellego.devices import AUTO, home_of, moved, place
from modellego.disassembly.job import Job, prepare
from modellego.disassembly.options import CutKeywords, CutOptions
from modellego.disassembly.sampling import batched, sampled
from modellego.disassembly.targets import task_of
from modellego.disassembly.verb import make_brick, opened
from modellego.preprocess import Preprocess
from modellego.progress import Progress, silent

Classes = str | Sequence[str | int]


def disassemble_each(
    model: nn.Module | Brick,
    data: DataLike,
    classes: Classes | None = None,
    *,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] | None = None,
    name: str = "model",
    mapping: MappingLike | None = None,
    progress: Progress = silent,
    **options: Unpack[CutKeywords],
) -> Iterator[Brick]:
    """Cut a brick for each class out of a classifier, one after the other, each the one that `disassemble` makes of it.

    The model is captured, analysed and brought together with the data once; each class's images are gone through by
    themselves, and nothing of one class is held when the next begins.

    Args:
        model, data, preprocess, class_names, name, mapping: as in `disassemble`.
        classes: the classes, as in `disassemble`; by default all of the model's.
        progress: follows the classes.
        options: the other arguments of `disassemble`, the same for all bricks.

    Raises what `disassemble` raises, before the first class where it can be told then.

    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> [brick.classes for brick in disassemble_each(net, "digits", "0-2", preprocess=Preprocess(1, 8, 8))]
    [('0',), ('1',), ('2',)]
    """
    asked = CutOptions(**options)
    whole, images = opened(model, data, preprocess, class_names, name, mapping)
    specs = [spec for _, spec in each_class(whole, classes)]
    jobs, sums = _jobs(whole, images, specs, mapping, asked)
    with progress("bricks", "classes") as update:
        home = home_of(whole)
        for done, job in enumerate(jobs, 1):
            with moved(asked.device, whole):
                brick = make_brick(job, asked, sums=None if sums is None else [next(sums)])
            if asked.device != AUTO:
                place(brick, home)
            yield brick
            update(done, len(specs))


def each_class(whole: Brick, classes: Classes | None = None) -> list[tuple[str, list[str | int]]]:
    """Return each class's name, and what asks `disassemble` for it alone; all of the model's without `classes`.

    >>> from modellego.sources.whole import whole_brick
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    >>> each_class(whole_brick(net, Preprocess(1, 8, 8), ["cat", "dog", "fox"]), "pet=0-1,fox")
    [('pet', ['pet=index:0', 'pet=index:1']), ('fox', [2])]
    """
    if classes is None:
        return [(name, [k]) for k, name in enumerate(whole.classes)]
    targets, _ = task_of(whole, classes)
    return [(t.name, [f"{t.name}=index:{k}" for k in t.members] if t.joined else [t.members[0]]) for t in targets]


def _jobs(
    whole: Brick, images: Data, specs: list[list[str | int]], mapping: MappingLike | None, options: CutOptions
) -> tuple[Iterable[Job], Iterator[tuple[int, ClassSums]] | None]:
    """Return each class's job, and the pass that gives each class's sums where the thresholds decide.

    Classes made of several have networks of their own, each with a pass of its own.
    """
    every = [part for spec in specs for part in spec]
    job = prepare(whole, images, every, mapping)
    if task_of(whole, every)[1]:
        return (prepare(whole, images, spec, mapping) for spec in specs), None
    jobs = [replace(job, task=(label,)) for label in job.task]
    if options.limit is not None:
        return jobs, None
    chosen = sampled(whole, job.data.train, job.task, options.samples, options.seed)
    return jobs, class_sums(job.network, batched(job, chosen), channel_map=job.channels)
