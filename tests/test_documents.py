"""The commands and the Python of README, CONTRIBUTING and docs run as they stand, each page in a folder of its own.

A fenced block of `console` or `python` is run unless its first line says `not-run` behind the language: what
installs, downloads or wants a GPU. Lines of a console block that do not call `modellego` are set-up, and not run.
README runs the demo; the other pages find in `lego-demo` what it wrote once for all of them.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import modellego

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
NEEDS = {"deploy.md": ("onnx", "onnxscript", "onnxruntime")}  # extras that a page cannot do without
BLOCK = re.compile(r"^```(console|python)( not-run)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r'^```yaml title="([\w.-]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and text of what is to be run."""
    return [(kind, text) for kind, skipped, text in BLOCK.findall(page.read_text(encoding="utf-8")) if not skipped]


STEPS = """
import json, shlex, sys
from modellego.cli import main

for kind, text in json.load(sys.stdin):
    print(text, flush=True)
    if kind == "python":
        exec(compile(text, "page", "exec"), {"__name__": "__main__"})
        continue
    try:
        main(shlex.split(text, comments=True)[1:])
    except SystemExit as left:
        if left.code:
            raise
"""


def run(steps: list[tuple[str, str]], folder: Path) -> None:
    """Run commands and blocks of Python one after the other in one process: most of their time would be imports."""
    command, words = [sys.executable, "-c", STEPS], json.dumps(steps)
    done = subprocess.run(command, input=words, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def calls(text: str) -> list[str]:
    """Return the command lines of a console block that call modellego, set-up in front of them left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [
        line[line.index("modellego ") :].removeprefix("$ ")
        for line in lines
        if re.search(r"(^|\$ |&& )modellego ", line)
    ]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_a_page_runs_as_it_stands(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for package in NEEDS.get(page.name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra export)")
    for name, text in FILE.findall(page.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    steps = [(kind, step) for kind, text in blocks(page) for step in ([text] if kind == "python" else calls(text))]
    if page.name != "README.md" and any("lego-demo" in step for _, step in steps):
        shutil.copytree(request.getfixturevalue("lego_demo"), tmp_path / "lego-demo")
        steps = [step for step in steps if step[1] != "modellego demo"]
    run(steps, tmp_path)


def test_the_readme_has_both_commands_and_an_example() -> None:
    found = blocks(ROOT / "README.md")
    assert sum(kind == "console" for kind, _ in found) >= 3
    assert any(kind == "python" for kind, _ in found)


def test_every_page_is_in_the_sites_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if not re.search(rf": {re.escape(page)}$", menu, re.MULTILINE)] == []


def test_every_public_name_is_on_the_python_page() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    told = re.findall(r"^::: modellego\.[\w.]+\.(\w+)$", page, re.MULTILINE)
    assert sorted(told) == sorted(modellego.__all__)
