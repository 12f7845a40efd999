"""What mkdocs does to the pages beside their theme: links that leave the folder, one page from the root, formulas."""

import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/modellego/modellego/blob/main/"
INCLUDE = re.compile(r"<!-- include: (\S+) -->\n")
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
CODE = re.compile(r"(```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
DISPLAYED, INLINE = re.compile(r"\$\$(.+?)\$\$", re.DOTALL), re.compile(r"\$([^$\n]+)\$")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make a page of the repository a page of the site."""
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))
    markdown = LINK.sub(lambda found: rebased(found[1], folder, folder), markdown)
    markdown = INCLUDE.sub(lambda found: included(found[1], folder), markdown)
    return "".join(part if CODE.fullmatch(part) else with_formulas(part) for part in CODE.split(markdown))


def included(name: str, folder: str) -> str:
    """Return a file of the root, its links seen from a page's folder."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return LINK.sub(lambda found: rebased(found[1], "", folder), text)


def rebased(target: str, origin: str, folder: str) -> str:
    """Return a link's target seen from `folder`: within docs as it is, other files of the repository on the web."""
    path = posixpath.normpath(posixpath.join(origin, target))
    return posixpath.relpath(path, folder) if path.startswith("docs/") else REPOSITORY + path


def with_formulas(text: str) -> str:
    """Turn TeX between dollars into MathML, which browsers draw by themselves."""
    text = DISPLAYED.sub(lambda found: "\n" + formula(found[1], "block") + "\n", text)
    return INLINE.sub(lambda found: formula(found[1], "inline"), text)


def formula(tex: str, display: str) -> str:
    """Return MathML; a `\\tag{n}` becomes a number at the right."""
    number = re.search(r"\\tag\{(\w+)\}", tex)
    drawn = convert(re.sub(r"\\tag\{\w+\}", "", tex).strip(), display=display)
    if display == "inline":
        return drawn
    return f'<div class="formula">{drawn}<span>{f"({number[1]})" if number else ""}</span></div>'
