"""Tests run on changed modules, in a process forked from one that has the heavy libraries loaded."""

import ast
import builtins
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any


class _Made:
    """An import hook: the named modules are made by `make` from their files, all others as ever."""

    def __init__(self, files: dict[str, Path], make: Callable[[Path], CodeType]) -> None:
        self.files, self.make = files, make

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return how a named module is loaded, None for any other."""
        file = self.files.get(name)
        if file is None:
            return None
        loader = SourceFileLoader(name, str(file))
        loader.get_code = lambda fullname: self.make(file)  # type: ignore[method-assign]
        folder = [str(file.parent)] if file.name == "__init__.py" else None
        return spec_from_file_location(name, file, loader=loader, submodule_search_locations=folder)


def module_name(file: str) -> str:
    """Return the name of a module by its path from the root.

    >>> module_name("src/modellego/cut/cut.py"), module_name("src/modellego/cut/__init__.py")
    ('modellego.cut.cut', 'modellego.cut')
    """
    return file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def with_probes(source: str, path: str, file: str) -> CodeType:
    """Compile a module so that every statement of its functions notes that it was reached (`__reached__`)."""

    class Probes(ast.NodeTransformer):
        def __init__(self) -> None:
            self.depth = 0

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            if node.name == "loop" and file.endswith("fused.py"):  # numba compiles it, and knows no probes
                return node
            self.depth += 1
            self.generic_visit(node)
            self.depth -= 1
            return node

        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            for field in ("body", "orelse", "finalbody"):
                block = getattr(node, field, None)
                if self.depth and isinstance(block, list) and not isinstance(node, ast.ClassDef):
                    setattr(node, field, [new for old in block for new in (_probe(file, old), old) if new is not None])
            return node

    tree = Probes().visit(ast.parse(source))
    return compile(ast.fix_missing_locations(tree), path, "exec")


def _probe(file: str, statement: ast.stmt) -> ast.stmt | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return None  # a docstring stays first
    new = ast.parse(f"__import__('builtins').__reached__.add(({file!r}, {statement.lineno}))").body[0]
    for node in ast.walk(new):
        ast.copy_location(node, statement)
    return new


class _Watch:
    """A pytest plugin: the order of the tests, what each took, what it reached, and which failed."""

    def __init__(self, order: list[str]) -> None:
        self.order = {name: i for i, name in enumerate(order)}
        self.tests: dict[str, Any] = {}
        self.failed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.order:
            items[:] = [i for i in items if i.nodeid in self.order]
            items.sort(key=lambda item: self.order[item.nodeid])

    def pytest_runtest_setup(self, item: Any) -> None:
        self.began = time.process_time()
        reached().clear()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "teardown":
            self.tests[report.nodeid] = (time.process_time() - self.began, sorted(reached()))
        if report.failed:
            self.failed.append(report.nodeid)


def reached() -> set[tuple[str, int]]:
    """Return the statements reached so far, (file, line)."""
    found: set[tuple[str, int]] = vars(builtins).setdefault("__reached__", set())
    return found


def forked(work: Callable[[], Any], limit: int) -> Any:
    """Return what `work` returns in a forked process, or None where it dies or takes more processor time than that."""
    with tempfile.TemporaryFile("w+") as answer:
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.setpgid(0, 0)
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 2))
                silent = os.open(os.devnull, os.O_RDWR)
                for stream in (0, 1, 2):
                    if not os.environ.get("MUTATION_LOUD"):
                        os.dup2(silent, stream)
                json.dump(work(), answer)
                answer.flush()
            os._exit(0)
        deadline = time.monotonic() + 20 * limit
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)  # what its tests may have left running
        answer.seek(0)
        text = answer.read()
    return json.loads(text) if text else None


def tested(tests: list[str], files: dict[str, Path], make: Callable[[Path], CodeType], *, first: bool) -> Any:
    """Run tests on modules made by `make`, up to the `first` failure or all; only in a forked process."""
    import hypothesis
    import pytest

    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")
    sys.meta_path.insert(0, _Made(files, make))
    try:
        for name in files:
            import_module(name)
    except Exception as error:
        return {"failed": [f"{type(error).__name__} at import"], "tests": {}}
    watch = _Watch([t for t in tests if "::" in t])
    paths = list(dict.fromkeys(t.split("::")[0] for t in tests))
    options = ["-o", "addopts=--import-mode=importlib", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
    options += ["-x"] if first else []
    options += ["--doctest-modules"] if any(p.startswith("src/") for p in paths) else []
    pytest.main([*paths, *options], [watch])
    return {"failed": watch.failed, "tests": watch.tests}


def preload(rooms: tuple[str, ...]) -> None:
    """Load what every trial needs but the package itself, which each trial imports anew."""
    for name in ("hypothesis.strategies", "PIL.Image", "pyarrow.parquet", "pytest", "safetensors.torch",
                 "scipy.optimize", "torch.export", *(f"modellego.{room}" for room in rooms)):  # fmt: skip
        import_module(name)
    import torch

    from modellego.capture import capture

    torch.set_num_threads(1)
    capture(torch.nn.Linear(2, 2), (2,))  # the first capture loads most of torch's compiler
    for name in [n for n in sys.modules if n.split(".")[0] == "modellego"]:
        del sys.modules[name]
