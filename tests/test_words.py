"""What the sources cite can be found: in this repository, or in the paper by the name of its formula."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [
    path
    for folder in ("src", "experiments", "examples", "docs", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".md") and path != Path(__file__).resolve()
] + sorted(ROOT.glob("*.md"))


def found(pattern: str) -> list[str]:
    """Return where a pattern stands in the texts of this repository, as "file: words"."""
    matches = ((path, re.findall(pattern, path.read_text(encoding="utf-8"))) for path in TEXTS)
    return [f"{path.relative_to(ROOT)}: {match}" for path, matched in matches for match in matched]


@pytest.mark.parametrize("words", [r"\bPAPER\b", r"\bDESIGN\b", r"\bBRIEF\b", r"\b[Tt]he issue\b"])
def test_nothing_is_cited_that_readers_do_not_have(words: str) -> None:
    assert found(words) == []


def test_every_cited_page_is_in_the_repository() -> None:
    cited = {line.split(": ")[1] for line in found(r"\b(?:docs|experiments)/[\w/-]+\.md\b")}
    assert cited, "the pattern finds no page at all"
    assert [page for page in sorted(cited) if not (ROOT / page).is_file()] == []
