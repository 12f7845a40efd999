"""Tests run on changed code, in processes forked from one in which the heavy libraries are loaded.

A fault inside a function is put in by giving the function other code, in a child of a pytest session that has already
collected the room's tests. A fault in what runs at import (a constant, a default) needs the package imported anew.
"""

import ast
import builtins
import contextlib
import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import _lru_cache_wrapper
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

OPTIONS = ["-o", "addopts=--import-mode=importlib", "-q", "-s", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]


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
            if self.compiled(node):  # numba compiles it, and knows no probes
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
                    setattr(node, field, [new for old in block for new in (*self.probes(old), old)])
            return node

        def probes(self, statement: ast.stmt) -> list[ast.stmt]:
            reached = [statement]
            if isinstance(statement, ast.FunctionDef) and self.compiled(statement):  # all of it, where it is made
                reached = [n for n in ast.walk(statement) if isinstance(n, ast.stmt)]
            return [new for old in reached if (new := _probe(file, old)) is not None]

        def compiled(self, node: ast.FunctionDef) -> bool:
            return node.name == "loop" and file.endswith("fused.py")

    tree = Probes().visit(ast.parse(source))
    return compile(ast.fix_missing_locations(tree), path, "exec")


def _probe(file: str, statement: ast.stmt) -> ast.stmt | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return None  # a docstring stays first
    new = ast.parse(f"__import__('builtins').__reached__.add(({file!r}, {statement.lineno}))").body[0]
    for node in ast.walk(new):
        ast.copy_location(node, statement)
    return new


class Watch:
    """A pytest plugin: what each test took and reached as if it ran alone, and which failed.

    `limits` says how many seconds of processor time each test may take; one that takes more ends the process. What a
    fixture that tests share takes and reaches counts for each of them.
    """

    def __init__(self, limits: dict[str, float]) -> None:
        self.limits = limits
        self.tests: dict[str, Any] = {}
        self.failed: list[str] = []
        self.shared: dict[str, tuple[float, set[tuple[str, int]]]] = {}

    def pytest_runtest_setup(self, item: Any) -> None:
        """Start the clocks."""
        signal.setitimer(signal.ITIMER_PROF, self.limits[item.nodeid])
        self.fixtures = getattr(item, "fixturenames", [])
        self.began = _spent()
        reached().clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        """Take what a shared fixture needs out of what the test needs that happens to be the first to ask for it."""
        if fixturedef.scope == "function":
            return (yield)
        began, before = _spent(), reached().copy()
        reached().clear()
        try:
            return (yield)
        finally:
            took = _spent() - began
            self.shared[fixturedef.argname] = took, reached().copy()
            self.began += took
            reached().clear()
            reached().update(before)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note what a test took, once it is over, and whether it failed."""
        if report.when == "teardown":
            shared = [self.shared[name] for name in self.fixtures if name in self.shared]
            seconds = _spent() - self.began + sum(took for took, _ in shared)
            self.tests[report.nodeid] = (round(seconds, 3), sorted(reached().union(*(lines for _, lines in shared))))
        if report.failed:
            self.failed.append(report.nodeid)


def _spent() -> float:
    """Return the processor time of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def reached() -> set[tuple[str, int]]:
    """Return the statements reached so far, (file, line)."""
    found: set[tuple[str, int]] = vars(builtins).setdefault("__reached__", set())
    return found


def forked(work: Callable[[], Any], limit: int | None = None) -> Any:
    """Return what `work` returns in a forked process, or None where it dies or takes more processor time than that.

    With a limit the process says nothing; without one its output is to be read.
    """
    with tempfile.TemporaryFile("w+") as answer:
        child = os.fork()
        if child == 0:
            try:
                if limit is not None:
                    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 2))
                    os.setpgid(0, 0)
                    silent = os.open(os.devnull, os.O_RDWR)
                    for stream in (0, 1, 2):
                        os.dup2(silent, stream)
                json.dump(work(), answer)
                answer.flush()
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        deadline = time.monotonic() + 20 * (limit or 10**6)
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                break
            time.sleep(0.02)
        if limit is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # what its tests may have left running
        answer.seek(0)
        text = answer.read()
    return json.loads(text) if text else None


class Collected:
    """The tests of a room, collected in this process; each trial runs some of them in a child of it."""

    def __init__(self, session: Any, root: Path) -> None:
        self.session, self.root = session, root
        self.items = {item.nodeid: item for item in session.items}
        self.functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        for found in gc.get_objects():
            if type(found) is FunctionType and found.__code__.co_filename.startswith(str(root)):
                self.functions.setdefault(_place_of(found.__code__), []).append(found)

    def trial(self, tests: dict[str, float], codes: list[CodeType]) -> dict[str, Any]:
        """Run tests, up to the first failure, with the functions of modules given other code.

        Only in a forked process. `tests` says how many seconds of processor time each may take; one that takes more
        ends the process.
        """
        watch = self._watched(tests, codes)
        items = [self.items[name] for name in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if watch.failed:
                break
        return {"failed": watch.failed, "tests": watch.tests}

    def measured(self, tests: dict[str, float], codes: list[CodeType]) -> dict[str, Any]:
        """Run all tests as `trial` does, whichever fail, none on what another has put into a cache."""
        watch = self._watched(tests, codes)
        items = [self.items[name] for name in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._forget()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        return {"failed": watch.failed, "tests": watch.tests}

    def _watched(self, tests: dict[str, float], codes: list[CodeType]) -> Watch:
        for code in codes:
            self._give(code)
        watch = Watch(tests)
        self.session.config.pluginmanager.register(watch)
        return watch

    def _forget(self) -> None:
        """Empty the caches of functions."""
        for module in list(sys.modules.values()):
            if str(getattr(module, "__file__", None)).startswith(str(self.root)):
                for value in vars(module).values():
                    if isinstance(value, _lru_cache_wrapper):
                        value.cache_clear()

    def _give(self, code: CodeType) -> None:
        """Give every function of a module its code of the same place; what lies inside it comes along."""
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                held = self.functions.get(_place_of(inner))
                for function in held or ():
                    function.__code__ = inner
                if held is None:
                    self._give(inner)


def _place_of(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def collected(paths: list[str], root: Path, work: Callable[[Collected], None]) -> None:
    """Collect the tests below the paths and do the work with them; only in a forked process."""

    class Inside:
        def pytest_runtestloop(self, session: Any) -> bool:
            work(Collected(session, root))
            return True

    _quiet_hypothesis()
    pytest.main([*paths, *OPTIONS, "--doctest-modules"], [Inside()])


def imported_anew(tests: dict[str, float], file: str, root: Path, make: Callable[[Path], CodeType]) -> dict[str, Any]:
    """Run tests, up to the first failure, on a package with one module made by `make`; only in a forked process.

    `tests` says how many seconds of processor time each may take; one that takes more ends the process.
    """

    class Ordered:
        def pytest_collection_modifyitems(self, items: list[Any]) -> None:
            order = list(tests)
            items[:] = sorted((i for i in items if i.nodeid in tests), key=lambda item: order.index(item.nodeid))

    _quiet_hypothesis()
    name = module_name(file)
    sys.meta_path.insert(0, _Made({name: root / file}, make))
    try:
        import_module(name)
    except Exception as error:
        return {"failed": [f"{type(error).__name__} at import"], "tests": {}}
    watch = Watch(tests)
    paths = list(dict.fromkeys(t.split("::")[0] for t in tests))
    pytest.main([*paths, *OPTIONS, "-x", "--doctest-modules"], [watch, Ordered()])
    return {"failed": watch.failed, "tests": watch.tests}


def _quiet_hypothesis() -> None:
    import hypothesis

    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")


def preload(rooms: tuple[str, ...]) -> None:
    """Load what every trial needs but the package itself, which each room imports anew."""
    for name in ("hypothesis.strategies", "PIL.Image", "pyarrow.parquet", "pytest", "safetensors.torch",
                 "scipy.optimize", "torch.export", *(f"modellego.{room}" for room in rooms)):  # fmt: skip
        import_module(name)
    import torch

    from modellego.capture import capture

    torch.set_num_threads(1)
    capture(torch.nn.Linear(2, 2), (2,))  # the first capture loads most of torch's compiler
    for name in [n for n in sys.modules if n.split(".")[0] == "modellego"]:
        del sys.modules[name]
