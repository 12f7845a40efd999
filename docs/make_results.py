"""Write docs/results.md from benchmarks/results/*.json: one function a file, in the order of `SECTIONS`.

Run `python docs/make_results.py`; a file that is not there is skipped. `--check` only says whether the page is current.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accuracy_section
import criteria_section
import reject_section

from modellego.paper.markdown import millions, percent, table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
HEAD = """# Results

Made by `python docs/make_results.py` from `benchmarks/results/*.json`; not written by hand. Accuracies are per cent on
test images that nothing was chosen on. *Base* is the source model with all its logits, *restricted* the same model,
uncut, with only the task's logits.
"""


def origin(found: dict[str, Any]) -> str:
    """Say how a file of rows was made."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    minutes = found["wall_seconds"] / 60
    settings = ", ".join(f"{name} {value}" for name, value in found["settings"].items() if value is not None)
    threads = found.get("threads", "all")
    return f"`{found['command']}` ({settings}; {versions}; threads: {threads}; {minutes:.0f} minutes in all)."


def published(found: dict[str, Any]) -> str:
    """Published CIFAR ResNets: scores, disassembly at the paper's thresholds, assembly of uncut bricks."""
    rows = found["rows"]
    parts = ["## Published models (CIFAR ResNets)", origin(found)]
    if found["settings"].get("limit"):
        parts.append(f"**A trial run on {found['settings']['limit']} images a split: the figures mean nothing.**")
    scored = [
        [key.split()[1], percent(r["accuracy"]), f"{r['stated']:.2f}", millions(r["macs"]), millions(r["parameters"])]
        for key, r in rows.items()
        if key.startswith("score ")
    ]
    parts += ["### Scored whole", table(["model", "accuracy", "published", "MACs", "parameters"], scored)]
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
                    f"{r['kept_groups']} of {r['sets']}",
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


def brick_latency(found: dict[str, Any]) -> str:
    """Latency of a brick with half its source's MACs."""
    rows = [
        [
            key,
            f"{100 * r['macs_share']:.1f} %",
            f"{1000 * r['source_seconds']:.0f} ms",
            f"{1000 * r['brick_seconds']:.0f} ms",
            f"{r['ratio']:.3f}",
        ]
        for key, r in found["rows"].items()
    ]
    said = "Median of interleaved runs; the brick's channel counts are multiples of 8. Wanted: a ratio of at most 0.7."
    header = ["model, batch", "MACs left", "source", "brick", "ratio"]
    return "\n\n".join(["## Latency falls with MACs", origin(found), said, table(header, rows)])


def contribution_speed(found: dict[str, Any]) -> str:
    """Price of the contribution pass."""
    rows = []
    for name, case in found["cases"].items():
        memory = case.get("memory")
        rows.append(
            [
                f"{name} at {case['input_size']}",
                case["batch"],
                f"{case['ratio']:.2f}",
                f"{case['target_ratio']:.2f}",
                "–" if memory is None else f"{memory['contribution_peak_bytes'] / memory['plain_peak_bytes']:.2f}",
                "–" if memory is None else ("yes" if memory["within"] else "no"),
            ]
        )
    header = ["network", "batch", "time", "wanted at most", "peak memory", "within plain + 2 x parameters"]
    text = "Ratios of the contribution pass to a plain forward pass over the same images, within one run; clock and"
    text += " threads of each case stand in the JSON."
    return "\n\n".join(["## Price of the contribution pass", text, table(header, rows)])


def analysis_speed(found: list[dict[str, Any]]) -> str:
    """Channel analysis and cut, capture apart."""
    rows = [[r["model"], r["analysis_cpu_s"], r["analysis_s"], r["analysis_mb"], r["cut_cpu_s"]] for r in found]
    header = ["torchvision model at 224", "analysis, CPU s", "analysis, s", "analysis, MB", "cut, CPU s"]
    return "\n\n".join(["## Channel analysis", table(header, rows)])


SECTIONS: dict[str, Callable[[Any], str]] = {
    "published": published,
    "accuracy": lambda found: accuracy_section.section(found, origin),
    "head_ideas": lambda found: accuracy_section.ideas(found, origin),
    "criteria": lambda found: criteria_section.section(found, origin),
    "reject": lambda found: reject_section.section(found, origin),
    "brick_latency": brick_latency,
    "contribution_speed": contribution_speed,
    "analysis_speed": analysis_speed,
}


def reproduced() -> list[str]:
    """What the paper shows, run again: one section a reproduction that has a record, its pictures below.

    Records of other networks lie in folders of their own, `paper-NETWORK`; their sections come last.
    """
    from modellego.paper import reproductions
    from modellego.paper.page import section

    results, parts = ROOT / "benchmarks" / "results", []
    for folder in (results / "paper", *sorted(results.glob("paper-*"))):
        network = folder.name.removeprefix("paper").removeprefix("-")
        for name, reproduction in reproductions().items():
            file = folder / f"{name}.json"
            if file.is_file():
                pictures = sorted(p.name for p in folder.glob("*.png") if reproduction.draws(p))
                shown = [f"![{p.removesuffix('.png')}](../benchmarks/results/{folder.name}/{p})" for p in pictures]
                title = f"{reproduction.title} ({network})" if network else reproduction.title
                parts.append("\n\n".join([f"## {title}", section(reproduction, json.loads(file.read_text())), *shown]))
    return [f"{part}\n" for part in parts]


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        file = ROOT / "benchmarks" / "results" / f"{name}.json"
        if file.is_file():
            parts.append(section(json.loads(file.read_text())) + "\n")
    parts += reproduced()
    return "\n".join([parts[0], contents(parts[1:]), *parts[1:]])


def contents(parts: list[str]) -> str:
    """List the sections, each a link to its heading."""
    titles = [line.removeprefix("## ") for part in parts for line in part.splitlines() if line.startswith("## ")]
    kept = {title: "".join(c for c in title.lower() if c.isalnum() or c in " -_") for title in titles}
    return "\n".join(f"- [{title}](#{slug.replace(' ', '-')})" for title, slug in kept.items()) + "\n"


def main() -> None:
    """Write the page, or check it."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--check", action="store_true", help="exit with 1 if the page is not current")
    text = page()
    if not words.parse_args().check:
        PAGE.write_text(text)
    elif not PAGE.is_file() or PAGE.read_text() != text:
        sys.exit("docs/results.md is not current: run python docs/make_results.py")


if __name__ == "__main__":
    main()
