"""Faults put into code: which there are, how they are known again, and what is told of them."""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments import mutation
from experiments.mutants import compiled, mutants_of
from experiments.trials import Collected, Watch, collected, forked, module_name, reached, with_probes

SOURCE = '''
"""A module."""
LIMIT = 3


def f(a: int, b: int = 2) -> int:
    """A docstring 1."""
    assert a > 0
    if a < LIMIT and not b:
        raise ValueError("text")
    return a + b
'''
FILE = "src/modellego/cut/graph.py"


def changes(source: str) -> list[tuple[str, str]]:
    return [(m.before, m.after) for m, *_ in mutants_of(source, FILE)]


def test_a_file_has_one_mutant_for_each_change_of_one_place() -> None:
    assert changes(SOURCE) == [
        ("3", "4"),
        ("2", "3"),
        ("if a < LIMIT and (not b):", "if not (a < LIMIT and (not b)):"),
        ("a < LIMIT and (not b)", "a < LIMIT or not b"),
        ("a < LIMIT", "a <= LIMIT"),
        ("not b", "b"),
        ("return a + b", "return None"),
        ("a + b", "a - b"),
    ]


def test_a_mutant_is_known_again_when_lines_are_put_above_it() -> None:
    keys = [m.key for m, *_ in mutants_of(SOURCE, FILE)]
    assert [m.key for m, *_ in mutants_of("import os\n" + SOURCE, FILE)] == keys
    assert len(set(keys)) == len(keys)


def test_what_runs_at_import_is_told_from_what_runs_in_functions() -> None:
    assert [place.at_import for _, place, _ in mutants_of(SOURCE, FILE)] == [True, True] + [False] * 6


def test_a_compiled_mutant_does_the_other_thing() -> None:
    found: list[Any] = []
    for _, place, after in mutants_of(SOURCE, FILE):
        names: dict[str, Any] = {}
        exec(compiled(SOURCE, place, after, "x.py"), names)
        try:
            found.append(names["f"](5, 2))
        except ValueError as error:
            found.append(str(error))
    assert found == [7, 7, "text", 7, 7, 7, None, 3]


def test_probes_note_the_lines_that_were_reached() -> None:
    names: dict[str, Any] = {}
    exec(with_probes(SOURCE, "x.py", FILE), names)
    reached().clear()
    assert names["f"](5, 2) == 7
    assert {line for _, line in reached()} == {8, 9, 11}


def test_modules_are_named_by_their_files() -> None:
    assert module_name(FILE) == "modellego.cut.graph"


def test_a_forked_process_answers_or_dies() -> None:
    assert forked(lambda: {"a": 1}, 5) == {"a": 1}
    assert forked(partial(os._exit, 3), 5) is None


@pytest.mark.parametrize(("limit", "answer"), [(30.0, "done"), (0.01, None)])
def test_a_test_that_takes_more_than_its_time_ends_the_process(limit: float, answer: str | None) -> None:
    def work() -> str:
        Watch({"a": limit}).pytest_runtest_setup(SimpleNamespace(nodeid="a"))
        spent = time.process_time()
        while time.process_time() < spent + 0.1:
            pass
        return "done"

    assert forked(work, 60) == answer


SHARING = """
from functools import cache
import pytest
from made import by_cache, by_fixture

kept = cache(by_cache)

@pytest.fixture(scope="module")
def shared():
    return by_fixture()

@pytest.mark.parametrize("k", [0, 1])
def test_of_two(k, shared):
    assert kept() == shared
"""


def test_what_two_tests_share_is_reached_by_both(tmp_path: Path) -> None:
    made = tmp_path / "made.py"
    made.write_text("def by_cache():\n    return 1\n\n\ndef by_fixture():\n    return 1\n")
    (tmp_path / "test_sharing.py").write_text(SHARING)

    def measure(tests: Collected) -> None:
        codes = [with_probes(made.read_text(), str(made), "made.py")]
        found = forked(lambda: tests.measured(dict.fromkeys(tests.items, 30.0), codes), 60)
        (tmp_path / "found.json").write_text(json.dumps(found["tests"]))

    def collect() -> None:
        os.chdir(tmp_path)
        sys.path.insert(0, str(tmp_path))
        collected(["test_sharing.py"], tmp_path, measure)

    forked(collect, 60)
    found = json.loads((tmp_path / "found.json").read_text())
    assert [lines for _, lines in found.values()] == [[["made.py", 2], ["made.py", 6]]] * 2


LINE = [FILE, 9]
TESTS = {
    "tests/cut/test_plan.py::slow": (9.0, [LINE]),
    "tests/cut/test_plan.py::quick": (0.1, [LINE]),
    "tests/cut/test_plan.py::elsewhere": (0.2, [[FILE, 11]]),
    "tests/cut/test_cut.py::slower": (12.0, [LINE]),
    "tests/cut/test_graph.py::long": (40.0, [LINE]),
    "tests/cut/test_graph.py::short": (0.3, [LINE]),
}


def test_tests_named_after_the_file_come_first_and_all_then_the_quickest_in_the_time() -> None:
    mutant, place, _ = next(m for m in mutants_of(SOURCE, FILE) if m[1].statement.lineno == 9)
    assert mutation.covering(mutant, place, TESTS) == [
        "tests/cut/test_graph.py::short",
        "tests/cut/test_graph.py::long",
        "tests/cut/test_plan.py::quick",
        "tests/cut/test_plan.py::slow",
    ]


def test_a_fault_at_import_is_tried_by_all_tests_that_reach_its_file() -> None:
    mutant, place, _ = next(mutants_of(SOURCE, FILE))
    assert "tests/cut/test_plan.py::elsewhere" in mutation.covering(mutant, place, TESTS)


def test_the_table_leaves_equivalent_mutants_out_of_the_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"key": key, "room": "cut", "file": FILE, "line": 1, "outcome": outcome}
        for key, outcome in (("a", "killed"), ("b", "killed"), ("c", "survived"), ("d", "survived"))
    ]
    (tmp_path / "r.json").write_text(json.dumps({"seed": 0, "mutants": rows}))
    (tmp_path / "e.toml").write_text('[[mutant]]\nkey = "d"\nwhy = "the same either way"\n')
    monkeypatch.setattr(mutation, "RECORD", tmp_path / "r.json")
    monkeypatch.setattr(mutation, "EQUIVALENT", tmp_path / "e.toml")
    mutation.show(survivors=False)
    assert "| all | 4 | 2 | 1 | 1 | 66.7% |" in capsys.readouterr().out


def test_equivalent_mutants_are_named_once_with_a_reason() -> None:
    table = mutation.tomllib.loads(mutation.EQUIVALENT.read_text())["mutant"]
    assert len({entry["key"] for entry in table}) == len(table)
    assert all(entry["why"] for entry in table)
