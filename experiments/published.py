"""Published CIFAR ResNets: scored, taken apart at the paper's thresholds, and assembled."""

from functools import partial
from typing import Any

from experiments.frame.markdown import millions, percent, table
from experiments.frame.registry import ASSEMBLING, Document, Experiment
from experiments.frame.run import Run
from experiments.study.bricks import uncut
from experiments.study.sources import Sources
from modellego.assembly import assemble
from modellego.brick import Assembled, Brick
from modellego.contribution.relevance import Thresholds
from modellego.data import Data, ImageSet, load_data, resolve_classes
from modellego.disassembly.options import REFIT_IMAGES
from modellego.disassembly.verb import disassemble
from modellego.evaluation import cost, logits_of, restricted, score

# top-1 on the full test set, per cent, as the models' own page in ../shared states it
STATED = {"cifar10_resnet20": 92.60, "cifar10_resnet32": 93.53, "cifar100_resnet20": 68.83, "cifar100_resnet32": 70.16}
TASKS = (("cifar10", "0-2"), ("cifar10", "3-9"), ("cifar100", "0-19"), ("cifar100", "20-69"))
RULES = ("poster", "back_to_front")
LAYOUTS = ("parallel", "padded")
SCALES = ("none", "logits", "layers")


class Bench:
    """Data sets and whole source models, each opened once."""

    def __init__(self, sources: Sources, seed: int) -> None:
        self.seed, self.data, self.source = seed, sources.data, sources.published

    def scored(self, name: str) -> dict[str, Any]:
        """Score a whole model on the full test set."""
        source, test = self.source(name), self.data(name.split("_", maxsplit=1)[0]).test
        assert test is not None
        found, spent = score(logits_of(source, test), test.labels), cost(source)
        return {
            "accuracy": found.accuracy,
            "stated": STATED[name],
            "images": found.images,
            "macs": spent.macs,
            "parameters": spent.parameters,
        }

    def taken_apart(self, dataset: str, classes: str, rule: str, refit: bool) -> dict[str, Any]:
        """Disassemble a task from ResNet-20 at the paper's thresholds."""
        brick = disassemble(
            self.source(f"{dataset}_resnet20"),
            self.data(dataset),
            classes,
            thresholds=Thresholds(rule=rule),  # type: ignore[arg-type]
            seed=self.seed,
            refit_images=REFIT_IMAGES if refit else 0,
        )
        assert brick.info.cut is not None
        kept = {"kept_groups": brick.info.cut.kept, "groups": brick.info.cut.total, "notes": brick.info.notes}
        return {**brick.info.scores, **kept}

    def pair(self) -> tuple[list[Brick], Data, ImageSet]:
        """Return the bricks to assemble, the images to choose from, and those to score on, in the new classes."""
        bricks = [
            uncut(self.source(f"{dataset}_resnet20"), classes)
            for dataset, classes in (("cifar10", "0-9"), ("cifar100", "20-99"))
        ]
        both = load_data([self.data("cifar10"), self.data("cifar100")])
        assert both.test is not None
        names = [c for b in bricks for c in b.classes]
        return bricks, both, both.test.for_model(names)

    def before(self) -> dict[str, Any]:
        """Base and base restricted of the pair: the sources' own accuracies, the mean over all 90 classes."""
        bricks, both, _ = self.pair()
        assert both.test is not None
        base = inside = 0.0
        total = sum(len(b.classes) for b in bricks)
        for brick, dataset in zip(bricks, ("cifar10", "cifar100"), strict=True):
            source = self.source(f"{dataset}_resnet20")
            task = resolve_classes([source.classes.index(c) for c in brick.classes], source.classes)
            test = both.test.for_model(brick.classes)
            found = restricted(logits_of(source, test), task, test.labels)
            base += found[0] * len(task) / total
            inside += found[1] * len(task) / total
        return {"base_accuracy": base, "base_restricted_accuracy": inside, "classes": total}

    def assembled(self, layout: str, scale: str) -> dict[str, Any]:
        """Assemble the pair and score it on all images of its 90 classes."""
        bricks, both, test = self.pair()
        scaling = None if scale == "none" else scale
        new: Brick | Assembled = assemble(bricks, layout=layout, scale=scaling, data=both, seed=self.seed)  # type: ignore[arg-type]
        found, spent = score(logits_of(new, test), test.labels), cost(new)
        return {
            "accuracy": found.accuracy,
            "balanced_accuracy": found.balanced_accuracy,
            "images": found.images,
            "macs": spent.macs,
            "parameters": spent.parameters,
            "classes": len(new.classes),
        }


def run(run: Run) -> None:
    """Score the sources, take tasks apart by both rules, and assemble in both layouts."""
    bench = Bench(run.sources, run.seed)
    for name in STATED:
        run.row(f"score {name}", partial(bench.scored, name))
    run.row("assemble base", bench.before)
    for dataset, classes in TASKS:
        for rule in RULES:
            for refit in (False, True):
                key = f"disassemble {dataset} {classes} {rule} {'refit' if refit else 'cut alone'}"
                run.row(key, partial(bench.taken_apart, dataset, classes, rule, refit))
    for layout in LAYOUTS:
        for scale in SCALES:
            run.row(f"assemble {layout} {scale}", partial(bench.assembled, layout, scale))


def section(document: Document) -> str:
    """Published CIFAR ResNets: scores, disassembly at the paper's thresholds, assembly of uncut bricks."""
    rows = document["rows"]
    scored = [
        [key.split()[1], percent(r["accuracy"]), f"{r['stated']:.2f}", millions(r["macs"]), millions(r["parameters"])]
        for key, r in rows.items()
        if key.startswith("score ")
    ]
    parts = ["### Scored whole", table(["model", "accuracy", "published", "MACs", "parameters"], scored)]
    parts += [
        "### ResNet-20 taken apart at the paper's alpha and beta",
        "As it comes out. *poster* and *back_to_front* are the two rules for the relative contribution of a channel; "
        "*cut alone* is what the paper does, *refit* adds the closed-form repair.",
    ]
    apart = []
    for key, r in rows.items():
        kind, dataset, classes, rule, *how = key.split() if key.startswith("disassemble ") else ["", "", "", ""]
        if kind:
            apart.append(
                [
                    f"{dataset} {classes}, {rule}, {' '.join(how)}",
                    *(percent(r[k]) for k in ("base_accuracy", "base_restricted_accuracy", "brick_accuracy")),
                    f"{r['kept_groups']} of {r['groups']}",
                    f"{millions(r['macs'])} ({100 * r['macs'] / r['macs_base']:.0f} %)",
                    f"{millions(r['parameters'])} ({100 * r['parameters'] / r['parameters_base']:.0f} %)",
                ]
            )
    parts.append(table(["task", "base", "restricted", "brick", "channel groups kept", "MACs", "parameters"], apart))
    base = rows.get("assemble base")
    parts.append("### CIFAR-10 0-9 with CIFAR-100 20-99, uncut, assembled without training")
    if base:
        parts.append(
            f"90 classes; mean over classes of the sources' own accuracy: base {percent(base['base_accuracy'])}, "
            f"restricted {percent(base['base_restricted_accuracy'])}. The scaling *layers* is the poster's, *logits* "
            f"the published software's; both change what the bricks compute."
        )
    joined = [
        [
            *key.split()[1:],
            percent(r["balanced_accuracy"]),
            percent(r["accuracy"]),
            millions(r["macs"]),
            millions(r["parameters"]),
        ]
        for key, r in rows.items()
        if key.startswith("assemble ") and key != "assemble base"
    ]
    names = ["layout", "scaling", "balanced accuracy", "plain accuracy", "MACs", "parameters"]
    parts.append(table(names, joined))
    return "\n\n".join(parts)


EXPERIMENT = Experiment(
    title="Published models (CIFAR ResNets)",
    run=run,
    section=section,
    measures=ASSEMBLING,
    settings=lambda run: {"seed": run.seed, "limit": run.limit},
)
