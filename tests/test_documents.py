"""The commands and the Python of README, CONTRIBUTING and docs run as they stand, each page in a folder of its own.

A fenced block of `console` or `python` is run unless its first line says `not-run` behind the language: what
installs, downloads or wants a GPU. Lines of a console block that do not call `modellego` are set-up, and not run.
A block of `yaml` with a title is a file of that name.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
NEEDS = {"deploy.md": ("onnx", "onnxscript", "onnxruntime")}  # extras that a page cannot do without
BLOCK = re.compile(r"^```(console|python)( not-run)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r'^```yaml title="([\w.-]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of what is to be run."""
    return [(kind, text) for kind, skipped, text in BLOCK.findall(page.read_text(encoding="utf-8")) if not skipped]


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=os.environ, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def calls(text: str) -> list[str]:
    """Return the command lines of a console block that call modellego, set-up in front of them left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [
        line[line.index("modellego ") :].removeprefix("$ ")
        for line in lines
        if re.search(r"(^|\$ |&& )modellego ", line)
    ]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_a_page_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    for package in NEEDS.get(page.name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra export)")
    for name, text in FILE.findall(page.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    for kind, text in blocks(page):
        if kind == "python":
            run([sys.executable, "-c", text], tmp_path)
            continue
        for line in calls(text):
            run(["bash", "-c", line.replace("modellego ", f"{sys.executable} -m modellego ", 1)], tmp_path)


def test_the_readme_has_both_commands_and_an_example() -> None:
    found = blocks(ROOT / "README.md")
    assert sum(kind == "console" for kind, _ in found) >= 3
    assert any(kind == "python" for kind, _ in found)
