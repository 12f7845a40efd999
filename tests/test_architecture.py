"""The arrows of ARCHITECTURE.md are those of the imports: its own list of rooms, held against every import."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "modellego"
FILES = {
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
DOORS = {"modellego", "modellego.__main__"}  # the package names all verbs and imports none before it is used


def rows() -> list[list[str]]:
    """Return the rows of rooms that ARCHITECTURE.md lists, earliest first."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    block = re.search(r"^## The order of the rooms$.*?^```\n(.*?)^```$", text, re.M | re.S)
    assert block is not None, "ARCHITECTURE.md has no block of rooms under 'The order of the rooms'"
    return [re.findall(r"\w+", line.partition("#")[0]) for line in block.group(1).splitlines() if line.strip()]


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules of this package that a piece of code imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            inner = [f"{node.module}.{alias.name}" for alias in node.names if alias.name != "__version__"]
            names = [name if name in FILES else node.module for name in inner]
        else:
            continue
        yield from (name for name in names if name in FILES)


def room(module: str) -> str:
    return module.split(".")[1]


def on_import(tree: ast.Module) -> ast.Module:
    """Return what runs when a module is imported: neither the bodies of functions nor what is for type checkers."""

    class Runs(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None: ...

        def visit_If(self, node: ast.If) -> ast.If | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else node

    done = Runs().visit(ast.parse(ast.unparse(tree)))
    assert isinstance(done, ast.Module)
    return done


TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def test_every_room_is_listed_once() -> None:
    listed = [name for row in rows() for name in row]
    assert sorted(listed) == sorted({room(name) for name in FILES.keys() - DOORS})


def test_a_room_imports_only_rooms_above_its_own() -> None:
    place = {name: number for number, row in enumerate(rows()) for name in row}
    wrong = {
        f"{name} imports {other}"
        for name in FILES.keys() - DOORS
        for other in imported(TREES[name])
        if other in DOORS or (room(other) != room(name) and place[room(other)] >= place[room(name)])
    }
    assert not wrong


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: set(imported(on_import(TREES[name]))) - {name} for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_no_file_only_forwards() -> None:
    def says_nothing(node: ast.stmt) -> bool:
        names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        return names or isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)

    forwarding = [n for n, p in FILES.items() if p.name != "__init__.py" and all(map(says_nothing, TREES[n].body))]
    assert set(forwarding) <= DOORS
