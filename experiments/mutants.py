"""Faults of one line: what may stand in the place of a node of a syntax tree, and the mutants of a file."""

import ast
import collections
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """One fault: where, what stood there, what stands there now; `number` tells equal ones of a function apart."""

    file: str
    function: str
    statement: str
    before: str
    after: str
    number: int
    line: int

    @property
    def room(self) -> str:
        """The room that the file is in."""
        return self.file.split("/")[2]

    @property
    def key(self) -> str:
        """What it is known by, whatever is written around it and wherever in its room the function is moved."""
        text = "\0".join((self.room, self.function, self.statement, self.before, self.after, str(self.number)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATIONS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult,
}  # fmt: skip
_NAMES = {"any": "all", "all": "any", "min": "max", "max": "min", "argmax": "argmin", "argmin": "argmax",
          "sum": "max", "amin": "amax", "amax": "amin", "maximum": "minimum", "minimum": "maximum"}  # fmt: skip


def faults_at(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node, one fault each."""
    changed: Any = copy.deepcopy(node)
    match node:
        case ast.Compare(ops=[first, *_]) if type(first) in _COMPARISONS:
            changed.ops[0] = _COMPARISONS[type(first)]()
            yield changed
        case ast.BoolOp(op=op):
            changed.op = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield changed
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            yield inner
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            yield inner
        case ast.BinOp(op=op) if type(op) in _OPERATIONS:
            changed.op = _OPERATIONS[type(op)]()
            yield changed
        case ast.AugAssign(op=op) if type(op) in _OPERATIONS:
            changed.op = _OPERATIONS[type(op)]()
            yield changed
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(value * 2 + 1)
        case ast.Constant(value=str(value)) if value.isidentifier():
            yield ast.Constant(value + "_")
        case ast.Name(id=name) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())
        case ast.Attribute(attr=name) if name in _NAMES:
            changed.attr = _NAMES[name]
            yield changed
        case ast.IfExp(test=test):
            changed.test = ast.UnaryOp(ast.Not(), test)
            yield changed
        case ast.If(test=test) if not isinstance(test, ast.Compare | ast.UnaryOp):
            changed.test = ast.UnaryOp(ast.Not(), test)
            yield changed
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield ast.Return(ast.Constant(None))


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


@dataclass(frozen=True)
class Place:
    """A node that may be replaced: the way to it from the module, its function, and the statement it is part of.

    `at_import` says that it runs once, when the module is imported: a constant, a default, a class's field.
    """

    way: tuple[tuple[str, int | None], ...]
    function: str
    at_import: bool
    statement: ast.stmt
    node: ast.AST


def places(tree: ast.Module) -> Iterator[Place]:
    """Yield all nodes of a module but docstrings, annotations, imports, messages and what is for type checkers."""

    def walk(node: ast.AST, way: Any, function: str, statement: ast.stmt | None, inside: bool) -> Iterator[Place]:
        if isinstance(node, ast.Assert | ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.stmt):
            statement = node
        if statement is not None and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield Place(way, function, not inside, statement, node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".lstrip(".")
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_params", "ctx"):
                continue
            if isinstance(value, ast.AST):
                yield from walk(value, (*way, (field, None)), function, statement, inside)
            elif isinstance(value, list):
                within = inside or (isinstance(node, ast.FunctionDef) and field == "body")
                for i, item in enumerate(value):
                    if isinstance(item, ast.AST):
                        yield from walk(item, (*way, (field, i)), function, statement, within)

    yield from walk(tree, (), "", None, False)


def _head(statement: ast.stmt) -> str:
    """Return a statement's text, of a compound one its first line."""
    return ast.unparse(statement).splitlines()[0][:160]


def mutants_of(source: str, file: str) -> Iterator[tuple[Mutant, Place, ast.AST]]:
    """Yield every mutant of a file, with the place and what is put there.

    >>> source = "def f(a):\\n    return a < 1\\n"
    >>> [(m.before, m.after) for m, *_ in mutants_of(source, "src/modellego/cut/cut.py")]
    [('return a < 1', 'return None'), ('a < 1', 'a <= 1'), ('1', '2')]
    """
    seen: collections.Counter[tuple[str, ...]] = collections.Counter()
    for place in places(ast.parse(source)):
        for after in faults_at(place.node):
            texts = (place.function, _head(place.statement), _text(place.node), _text(after))
            yield Mutant(file, *texts, seen[texts], getattr(place.node, "lineno", place.statement.lineno)), place, after
            seen[texts] += 1


def _text(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0][:160]


def compiled(source: str, place: Place, after: ast.AST, path: str) -> CodeType:
    """Compile a module with the fault in it, its lines numbered as they were."""
    tree: Any = ast.parse(source)
    parent, (field, index) = tree, place.way[-1]
    for name, i in place.way[:-1]:
        parent = getattr(parent, name) if i is None else getattr(parent, name)[i]
    new = ast.copy_location(copy.deepcopy(after), place.node)
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new
    return compile(ast.fix_missing_locations(tree), path, "exec")
