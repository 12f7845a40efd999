"""The page docs/coverage.md, from the record of the experiment `coverage`."""

from typing import Any

from experiments.study.coverage_models import FORM, families

Rows = dict[str, dict[str, Any]]
HEAD = """# Which models can be taken apart

Made by `python -m experiments --write` from `experiments/results/coverage.json`, which `python -m experiments
coverage` makes, one row per model: random weights (seed {seed}), batch norm's statistics taken from random images and
its scales halved (so that float64 has room in the deepest networks; {old} rows were made before that, with the
statistics as they come), capture, channel analysis, contribution of two classes, the half of every tensor's cuttable
groups that contributes most kept, cut to 33 of the logits, saved, loaded, run, and compared in float64 with the
masked source ([what that means](exactness.md)): a relative difference above {tolerance:g} fails. Models of more than
60 million parameters are cut in float32 and compared in float64. Seconds are the processor's, one thread; the machine
did other work. The limit is {seconds:g} s for analysis and cut together and {megabytes:g} MB beyond model and brick.
`experiments/study/timm_families.json` says which of timm's families count as CNNs, and why the others do not.

"""
COLUMNS = (
    "| model | input | ops and layers | groups | may be cut | exact | difference | capture s | analysis s "
    "| contribution s | cut s | MB | limit |\n"
)
GROUPS = {"torchvision": "torchvision's classifiers", "cnn": "timm's CNN families", "": "timm's other families"}


def line(row: dict[str, Any]) -> str:
    """Return a model's line of the table."""
    size = "x".join(map(str, row.get("input", [])))
    if "error" in row:
        return f"| {row['model']} | {size} | | | | **fails** | {_plain(row['error'])[:160]} | | | | | | |"
    whole = " (some kept whole)" if row["whole"] else ""
    cells = [
        row["model"],
        size,
        len(row["ops"]),
        row["groups"],
        f"{row['share']:.0%}{whole}",
        "exact" if row["exact"] else "by definition",
        f"{row['error_relative']:.0e}",
        *(f"{row[f'{stage}_s']:.2f}" for stage in ("capture", "analysis", "contribution", "cut")),
        row["memory_mb"],
        "within" if row["within_limits"] else "**over**",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def group_of(kind: str) -> str:
    """Return the group that models of a kind are counted in."""
    return kind if kind in GROUPS else ""


def summary(rows: Rows, kinds: dict[str, str], settings: dict[str, Any]) -> str:
    """Say of each group how many pass, and who does not."""
    text = ""
    for group, name in GROUPS.items():
        wanted = [job for job, kind in kinds.items() if group_of(kind) == group]
        passed = [j for j in wanted if j in rows and "error" not in rows[j]]
        text += f"- {name}: {len(passed)} of {len(wanted)} pass ({len(passed) / len(wanted):.1%})"
        failed = [j for j in wanted if "error" in rows.get(j, {})]
        missing = [j for j in wanted if j not in rows]
        text += f"; fail: {', '.join(failed)}" if failed else ""
        text += f"; not run: {', '.join(missing)}" if missing else ""
        text += "\n"
    done = [r for r in rows.values() if "cut_s" in r and "within_limits" in r]
    slow = max(done, key=lambda r: r["analysis_s"] + r["cut_s"])
    large = max(done, key=lambda r: r["memory_mb"])
    text += (
        f"- analysis and cut within {settings['seconds']:g} s and {settings['megabytes']:g} MB: "
        f"{sum(r['within_limits'] for r in done)} of {len(done)}; the slowest is {slow['model']} with "
        f"{slow['analysis_s'] + slow['cut_s']:.1f} s, the largest "
        f"{large['model']} with {large['memory_mb']} MB\n"
    )
    return text


def kept_whole(rows: list[dict[str, Any]]) -> str:
    """List what stays whole, and what is cut by definition, with the reasons."""
    text = "\n## What stays whole\n\nHow many tensors of a model, and why; all else with channels may be cut.\n\n"
    for row in rows:
        if row.get("whole"):
            text += f"- {row['model']}: " + "; ".join(f"{count} {why}" for why, count in row["whole"].items()) + "\n"
    text += "\n## What is cut by definition\n\n"
    for row in rows:
        if row.get("by_definition"):
            text += f"- {row['model']}: {'; '.join(row['by_definition'])}\n"
    return text


def page(document: dict[str, Any]) -> str:
    """Return docs/coverage.md."""
    rows, settings = document["rows"], document["settings"]
    kinds = {f"timm:{f['model']}": str(f["kind"]) for f in families().values()}
    kinds |= {job: row["kind"] for job, row in rows.items()}
    old = sum(r["form"] < FORM for r in rows.values())
    text = HEAD.format(old=old, **settings) + summary(rows, kinds, settings)
    rule = "|" + "---|" * (COLUMNS.count("|") - 1) + "\n"
    for group, name in GROUPS.items():
        lines = [line(rows[j]) for j in sorted(rows) if group_of(kinds[j]) == group]
        text += f"\n## {name[0].upper()}{name[1:]}\n\n" + COLUMNS + rule + "\n".join(lines) + "\n"
    text += kept_whole([rows[j] for j in sorted(rows)])
    ops = sorted({op for r in rows.values() for op in r.get("ops", [])})
    text += f"\n## Ops\n\n{len(ops)} ops and layers in all: {', '.join(ops)}.\n\n"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    return text + f"Made with {versions}, by {document['command']}.\n"
