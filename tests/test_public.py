"""What `import modellego` offers: every verb and type, lazily, and no name that hides a module."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import modellego as ml


def test_type_checkers_and_the_interpreter_see_the_same_names() -> None:
    block = next(node for node in ast.parse(inspect.getsource(ml)).body if isinstance(node, ast.If))
    seen = {(name.name, line.module) for line in block.body if isinstance(line, ast.ImportFrom) for name in line.names}
    assert seen == set(ml._HOME.items())


def test_every_public_name_is_there() -> None:
    assert [name for name in ml.__all__ if getattr(ml, name, None) is None] == []
    assert set(ml.__all__) <= set(dir(ml))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(ml, "dissassemble")


def test_every_command_is_a_function_of_that_name() -> None:
    from modellego.cli.app import app

    commands = {command.callback.__name__ for command in app.registered_commands if command.callback} - {"paper"}
    assert {name for name in commands if not inspect.isfunction(getattr(ml, name, None))} == set()


def test_no_name_hides_a_module() -> None:
    hidden = []
    for found in pkgutil.walk_packages(ml.__path__, "modellego."):
        parent, _, name = found.name.rpartition(".")
        if name == "__main__":
            continue
        importlib.import_module(found.name)
        if not isinstance(getattr(importlib.import_module(parent), name), ModuleType):
            hidden.append(found.name)
    assert hidden == []


def loaded_after(code: str) -> set[str]:
    """Return which of the heavy packages a fresh interpreter has loaded after some code."""
    heavy = "{'torch', 'numpy', 'sklearn', 'scipy', 'pyarrow', 'PIL', 'matplotlib'}"
    ask = f"import sys\n{code}\nprint(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_after("import modellego") == set()


def test_help_loads_nothing_heavy() -> None:
    code = "from modellego.cli import main\ntry:\n    main(['disassemble', '--help'])\nexcept SystemExit:\n    pass"
    assert loaded_after(code) == set()


def test_library_messages_name_no_flags() -> None:
    files = [f for f in Path(ml.__path__[0]).rglob("*.py") if not {"cli", "paper"} & {part.name for part in f.parents}]
    named = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named += [f"{file.name}: {flag}" for flag in re.findall(r"(?<![-\w])--[a-z][\w-]*", node.value)]
    assert named == ["document.py: --upgrade"]  # of pip
