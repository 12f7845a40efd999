"""What each command says of itself: options in panels, flags that name no type, an example that runs."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

import modellego as ml
from modellego.cli.app import app

GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands
AT_ONCE = 12  # options in a panel, at most
RECIPE = """recipe: 1
sources: {lenet: lego-demo/lenet.brick}
data: {digits: digits}
bricks:
  low: {source: lenet, data: digits, classes: 0-2, budget: {macs: 0.9}, refit_images: 5}
"""
EXAMPLE = re.compile(r"^Example: modellego (.*)", re.MULTILINE | re.DOTALL)


def example(name: str) -> list[str]:
    """Return the words of a command's example; the first is its name."""
    found = EXAMPLE.search(COMMANDS[name].help or "")
    assert found, f"the help of {name} ends without an example"
    return shlex.split(found[1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, lego_demo: Path) -> Iterator[Path]:
    """A folder with the demo's bricks and a photo, in which the examples run one after the other."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(lego_demo, folder / "lego-demo")
    (folder / "photos").mkdir()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "photos" / "one.png")
    (folder / "digits.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ml.run("digits.yaml", "made")
        patch.setenv("NO_COLOR", "1")
        yield folder


def help_of(*words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)], ids=lambda w: " ".join(w) or "modellego")
def test_flags_name_no_type(words: tuple[str, ...]) -> None:
    assert "bool" not in help_of(*words)


def test_a_counted_flag_names_no_type() -> None:
    line = next(line for line in help_of().splitlines() if "--verbose" in line)
    assert "<int>" not in line


def test_commands_stand_in_a_few_panels() -> None:
    panels: dict[str | None, int] = {}
    for command in COMMANDS.values():
        panels[command.rich_help_panel] = panels.get(command.rich_help_panel, 0) + 1  # type: ignore[attr-defined]
    assert None not in panels
    assert 3 <= len(panels) <= 7
    assert max(panels.values()) <= AT_ONCE // 2, panels


@pytest.mark.parametrize("name", COMMANDS)
def test_no_panel_is_long(name: str) -> None:
    panels: dict[str | None, int] = {}
    for option in COMMANDS[name].params:
        if option.param_type_name == "option":
            title = getattr(option, "rich_help_panel", None)
            panels[title] = panels.get(title, 0) + 1
    assert max(panels.values()) <= AT_ONCE, panels


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    unexplained = [o.name for o in COMMANDS[name].params if not getattr(o, "help", None)]
    assert unexplained == []


@pytest.mark.parametrize("name", [n for n in COMMANDS if n != "demo"])
def test_the_example_runs(name: str, place: Path) -> None:
    words = example(name)
    assert words[0] == name
    done = CliRunner().invoke(app, words)
    fine = (0, 1) if name == "doctor" else (0,)  # 1 where something on this machine is broken
    assert done.exit_code in fine, f"{shlex.join(words)}\n{done.output}\n{done.exception!r}"


def test_the_demo_has_an_example() -> None:
    assert example("demo") == ["demo"]
