"""The pages in docs/ that are made from the records in experiments/results: results.md, and pages of their own."""

from pathlib import Path

from experiments.frame.page import told
from experiments.frame.record import RESULTS, read
from experiments.frame.registry import draws, known

DOCS = RESULTS.parents[1] / "docs"
HEAD = """# Results

Made by `python -m experiments --write` from `experiments/results/*.json`; not written by hand. Accuracies are per cent
on test images that nothing was chosen on. *Base* is the source model with all its logits, *restricted* the same model,
uncut, with only the task's logits.
"""


def sections() -> list[str]:
    """Return one section a record, in the order of the registry, its pictures below.

    Records of other networks lie in folders of their own, `results/NETWORK`; their sections come last.
    """
    parts = []
    for folder in (RESULTS, *sorted(p for p in RESULTS.iterdir() if p.is_dir())):
        for name, experiment in known().items():
            document = read(folder / f"{name}.json")
            if document and experiment.page is None:
                title = experiment.title if folder == RESULTS else f"{experiment.title} ({folder.name})"
                place = Path("..") / folder.relative_to(DOCS.parent)
                pictures = sorted(p for p in folder.glob("*.png") if draws(name, p))
                shown = [f"![{p.stem}]({(place / p.name).as_posix()})" for p in pictures]
                parts.append("\n\n".join([f"## {title}", told(experiment, document), *shown]) + "\n")
    return parts


def pages() -> dict[Path, str]:
    """Return the text of each page by its file."""
    parts = sections()
    found = {DOCS / "results.md": "\n".join([HEAD, contents(parts), *parts])}
    for name, experiment in known().items():
        document = read(RESULTS / f"{name}.json")
        if experiment.page is not None and document:
            found[DOCS / experiment.page] = experiment.section(document)
    return found


def write() -> list[Path]:
    """Write each page; return their files."""
    made = pages()
    for file, text in made.items():
        file.write_text(text, encoding="utf-8")
    return list(made)


def not_current() -> list[Path]:
    """Return the files whose page would be another if it were made now."""
    return [f for f, text in pages().items() if not f.is_file() or f.read_text(encoding="utf-8") != text]


def contents(parts: list[str]) -> str:
    """List the sections, each a link to its heading.

    >>> contents(["## One thing\\n\\ntext"])
    '- [One thing](#one-thing)\\n'
    """
    titles = [line.removeprefix("## ") for part in parts for line in part.splitlines() if line.startswith("## ")]
    kept = {title: "".join(c for c in title.lower() if c.isalnum() or c in " -_") for title in titles}
    return "\n".join(f"- [{title}](#{slug.replace(' ', '-')})" for title, slug in kept.items()) + "\n"
