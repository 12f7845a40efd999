"""The README's commands name subcommands and options that exist, and its Python block compiles."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from modellego.cli.app import app

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines() if "modellego " in line]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_exists(line: str) -> None:
    _, command, *words = shlex.split(line[line.index("modellego ") :])
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {name for parameter in known[command].params for name in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_the_python_block_compiles() -> None:
    for kind, text in BLOCKS:
        if kind == "python":
            compile(text, "README.md", "exec")
