"""The ablation: base, padding, parameter scaling in both ways, and calibration in both, on two assembled tasks."""

from functools import cache, partial
from typing import Any

from experiments.frame import plots
from experiments.frame.markdown import percent, table
from experiments.frame.page import reproduction
from experiments.frame.registry import ASSEMBLING, Experiment
from experiments.frame.run import Run, source_options
from experiments.study.pairs import OPTIONS, Pair
from experiments.study.paper_figures import PAIRS

Row = dict[str, Any]
CHOSEN = ("C10 0-2 + C100 0-19", "C10 3-9 + C100 20-69")
NAMES = {
    "padding": "+ padding",
    "scaling layers": "+ padding + scaling (layers)",
    "scaling logits": "+ padding + scaling (logits)",
    "affine": "+ padding + calibration (affine)",
    "head": "+ padding + calibration (head)",
}
CUTS = {"cut alone": False, "refit": True}


def run(run: Run) -> None:
    """Score every way of assembling, with bricks cut alone and with repaired ones."""
    for name in CHOSEN:
        pair = cache(partial(Pair, run, PAIRS[name]))
        run.row(f"{name} base", lambda pair=pair: pair().base())  # type: ignore[misc]
        for cut, refit in CUTS.items():
            for how in OPTIONS:
                run.row(f"{name} {cut} {how}", lambda pair=pair, how=how, refit=refit: pair().score(how, refit))  # type: ignore[misc]


def tables(rows: dict[str, Row]) -> str:
    """Return a table per pair."""
    parts = []
    for name in CHOSEN:
        base = rows.get(f"{name} base")
        if base is None:
            continue
        lines = [
            ["base (the sources, all logits)", percent(base["base"]), "", "", ""],
            ["base restricted", percent(base["restricted"]), "", "", ""],
        ]
        for how, words in NAMES.items():
            cells: list[str] = []
            for cut in CUTS:
                row = rows.get(f"{name} {cut} {how}")
                cells += [
                    percent(row["accuracy"] if row else None),
                    " / ".join(percent(v) for v in row["by_source"]) if row else "–",
                ]
            lines.append([words, *cells])
        images = next((r["images"] for k, r in rows.items() if k.startswith(name) and "images" in r), 0)
        header = ["", "cut alone", "by source", "refit", "by source"]
        parts += [f"**{name}**, {base['classes']} classes, {images} test images:", table(header, lines)]
    return "\n\n".join(parts)


def plot(rows: dict[str, Row], folder: Any) -> list[Any]:
    """Draw bars: a group per way, the bricks cut alone and refitted side by side, base as lines."""
    figure, axes = plots.subplots(1, len(CHOSEN), (11, 3.8))
    for place, name in zip(axes[0], CHOSEN, strict=True):
        base = rows.get(f"{name} base")
        if base is None:
            continue
        for number, cut in enumerate(CUTS):
            found = [(i, rows.get(f"{name} {cut} {how}")) for i, how in enumerate(NAMES)]
            xs = [i + 0.38 * (number - 0.5) for i, r in found if r]
            place.bar(xs, [100 * r["accuracy"] for _, r in found if r], 0.36, color=plots.COLOURS[number], label=cut)
        place.axhline(100 * base["base"], color="black", lw=1, ls="--", label="base")
        place.axhline(100 * base["restricted"], color="grey", lw=1, ls=":", label="base restricted")
        place.set_xticks(range(len(NAMES)), ["padding", "scaling\nlayers", "scaling\nlogits", "affine", "head"])
        place.set(ylim=(0, 100), ylabel="accuracy, %", title=name)
        place.legend(fontsize=7, ncols=2, loc="upper right")
    return list(plots.save(figure, folder / "ablation"))


SHOWS = "compares base, padding, and padding with parameter scaling; its figures are not at hand."
DIFFERS = (
    "the sources are published ResNet-20s unless `--network` names one; equally many test images of every "
    "class are scored; scaling and calibration see 20 training images per class; scaling *layers* is the poster's, "
    "*logits* the published software's; calibration (a scale and a shift per class, or a common head, kept only where "
    "held-out images say that it helps) and refit are ours. *By source*: accuracy on the classes of each brick."
)

EXPERIMENT = Experiment(
    title="Ablation of assembling",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=ASSEMBLING,
    plot=plot,
    options=source_options,
)
