"""One-line faults put into the core rooms, one at a time: does a test of the mutated room fail?

A seeded sample of faults (mutants) is drawn over the rooms. Each is tried in a copy of the tree, in a process forked
from one that has the heavy libraries loaded: only those tests (and doctests) of the mutated room run that cover the
faulty line, those named after its file first, up to the first failure. What is found goes into a JSON file as it is
found; started again, the run goes on where it ended. A survivor that no test can catch, because the fault changes
nothing that anyone could see, is named in `equivalent_mutants.toml` with the reason.

    python -m experiments.mutation run [--rooms channels,cut] [--count 400] [--again survived]
    python -m experiments.mutation show [--survivors]

Source of the method: DeMillo, Lipton and Sayward, "Hints on test data selection", 1978.
"""

import argparse
import ast
import gc
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from experiments.mutants import Mutant, Place, compiled, mutants_of
from experiments.trials import Collected, collected, forked, imported_anew, preload, with_probes

Drawn = tuple[Mutant, Place, ast.AST]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RECORD = HERE / "results" / "mutation.json"
KEPT = ROOT / ".mutation"
EQUIVALENT = HERE / "equivalent_mutants.toml"
ROOMS = (
    "channels", "contribution", "cut", "refit", "leastsquares", "locate", "assembly", "brick", "data", "evaluation",
)  # fmt: skip
SEED = 0
TIMES = 10  # how many times as long as without the fault tests may take; what takes more hangs, and counts as killed
ROOM_FOR_TESTS = 15.0  # seconds of processor time of tests tried on a mutant, besides those named after its file


def baseline(tests: Collected, room: str, root: Path) -> dict[str, Any]:
    """Return for each passing test of a room the processor time it takes and the statements it reaches.

    What is known of a test file is kept beside the checkout as long as neither it nor the room's code changes.
    """
    code = hashlib.sha256(b"".join((root / f).read_bytes() for f in sources(room, root))).hexdigest()
    known = _kept(room)
    digests = {f: code + hashlib.sha256((root / f).read_bytes()).hexdigest() for f in {_file(t) for t in tests.items}}
    passed = {t: entry["digest"] for t, entry in known.items() if entry["passed"]}
    wanted = [t for t in tests.items if passed.get(t) != digests[_file(t)]]
    if wanted:
        codes = [with_probes((root / f).read_text(), str(root / f), f) for f in sources(room, root)]
        found = forked(lambda: tests.measured(dict.fromkeys(wanted, 600.0), codes), 1800)
        if found is None:
            raise SystemExit(f"the tests of {room} could not be run: run `pytest tests/{room}` to see why")
        for name, (seconds, lines) in found["tests"].items():
            entry = {"digest": digests[_file(name)], "seconds": seconds, "lines": lines}
            known[name] = entry | {"passed": name not in found["failed"]}
            if not known[name]["passed"]:
                print(f"left out, as it fails without any fault: {name}")
        KEPT.mkdir(exist_ok=True)
        (KEPT / f"{room}.json").write_text(json.dumps(known))
    return {t: (known[t]["seconds"], known[t]["lines"]) for t in tests.items if known.get(t, {}).get("passed")}


def _kept(room: str) -> dict[str, Any]:
    kept = KEPT / f"{room}.json"
    return json.loads(kept.read_text()) if kept.exists() else {}


def _file(test: str) -> str:
    return test.split("::", maxsplit=1)[0]


def sources(room: str, root: Path) -> list[str]:
    """Return the files of a room, by their paths from the root."""
    return sorted(str(p.relative_to(root)) for p in (root / "src/modellego" / room).rglob("*.py"))


def covering(mutant: Mutant, place: Place, tests: dict[str, Any]) -> list[str]:
    """Return the tests that reach a mutant's statement; for one run at import, those that reach its file.

    First come those named after the file, all of them; then the others, the quickest first, as long as there is time.
    """
    stem = Path(mutant.file).stem
    if not place.at_import:
        at = [mutant.file, place.statement.lineno]
        chosen = [name for name, (_, lines) in tests.items() if at in lines]
    else:
        chosen = [name for name, (_, lines) in tests.items() if any(file == mutant.file for file, _ in lines)]
        chosen = chosen or list(tests)
    chosen.sort(key=lambda name: tests[name][0])
    own = [name for name in chosen if _file(name).endswith((f"/test_{stem}.py", f"/{stem}.py"))]
    fitting: list[str] = []
    spent = 0.0
    for name in chosen:
        spent += tests[name][0]
        if fitting and spent > ROOM_FOR_TESTS:
            break
        fitting.append(name)
    return own + [name for name in fitting if name not in own]


def limits(chosen: list[str], tests: dict[str, Any]) -> dict[str, float]:
    """Return how many seconds of processor time each test may take with a fault in the code.

    >>> limits(["a.py::x"], {"a.py::x": (0.5, []), "b.py::y": (9.0, [])})
    {'a.py::x': 10.0}
    """
    return {name: 5 + TIMES * float(tests[name][0]) for name in chosen}


def tried(drawn: Drawn, tests: dict[str, Any], trial: Callable[[dict[str, float]], Any]) -> dict[str, Any]:
    """Try one mutant and return its row."""
    mutant, place, _ = drawn
    chosen = covering(mutant, place, tests)
    row = {"key": mutant.key, "room": mutant.room, **asdict(mutant), "tests": len(chosen)}
    if not chosen:
        return row | {"outcome": "survived", "by": "no test reaches it"}
    began = time.monotonic()
    each = limits(chosen, tests)
    found = forked(lambda: trial(each), round(30 + sum(each.values())))  # half a minute to import
    row["seconds"] = round(time.monotonic() - began, 1)
    if found is None:
        return row | {"outcome": "killed", "by": "takes ten times as long, or ends the process"}
    return row | {"outcome": "killed" if found["failed"] else "survived", "by": next(iter(found["failed"]), "")}


def sample(rooms: tuple[str, ...], count: int, root: Path) -> dict[str, list[Drawn]]:
    """Draw mutants, as many in each of the rooms as is its share of all that there are; the same ones each time.

    Those whose keys have the smallest hashes are drawn, so that a change to one file changes the draw in no other.
    """
    every = {room: [m for f in sources(room, root) for m in mutants_of((root / f).read_text(), f)] for room in ROOMS}
    total = sum(len(found) for found in every.values())
    return {
        room: sorted(every[room], key=lambda m: _drawn(m[0].key))[: round(count * len(every[room]) / total)]
        for room in rooms
    }


def _drawn(key: str) -> str:
    return hashlib.sha256(f"{SEED} {key}".encode()).hexdigest()


def run(rooms: tuple[str, ...], count: int, again: str | None) -> None:
    """Try the sample's mutants that have no row yet, and anew those whose outcome is `again`; write after each."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "copy"
        for part in ("src", "tests", "experiments", "docs"):
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
        shutil.copy(ROOT / "pyproject.toml", root)
        os.chdir(root)
        sys.path[:] = [str(root / "src"), *(p for p in sys.path if Path(p).resolve() != ROOT / "src")]
        os.environ.setdefault("MODELLEGO_SHARED", str(ROOT.parent / "shared"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the copy is compiled once, not in every process
        sys.dont_write_bytecode = False
        preload(ROOMS)
        for room, drawn in sample(rooms, count, root).items():
            keys = {m.key for m, *_ in drawn}
            rows = {k: r for k, r in recorded().items() if r["room"] != room or k in keys}
            write(rows)
            waiting = [d for d in drawn if d[0].key not in rows or rows[d[0].key]["outcome"] == again]
            if waiting:
                _try_all(waiting, room, root)


def _try_all(waiting: list[Drawn], room: str, root: Path) -> None:
    print(f"{room}: {len(waiting)} mutants", flush=True)
    forked(lambda: collected([f"tests/{room}", f"src/modellego/{room}"], root, partial(_inside, waiting, room)))
    tests = {name: (t["seconds"], t["lines"]) for name, t in _kept(room).items() if t["passed"]}
    for drawn in waiting:
        if drawn[1].at_import:
            _note(tried(drawn, tests, partial(_anew, drawn, root)))


def _inside(waiting: list[Drawn], room: str, tests: Collected) -> None:
    """Try the mutants inside functions, in the process in which the room's tests are collected."""
    known = baseline(tests, room, tests.root)
    gc.freeze()
    for drawn in (d for d in waiting if not d[1].at_import):
        _note(tried(drawn, known, partial(_swapped, drawn, tests)))


def _swapped(drawn: Drawn, tests: Collected, chosen: dict[str, float]) -> Any:
    mutant, place, after = drawn
    path = tests.root / mutant.file
    return tests.trial(chosen, [compiled(path.read_text(), place, after, str(path))])


def _anew(drawn: Drawn, root: Path, chosen: dict[str, float]) -> Any:
    mutant, place, after = drawn
    return imported_anew(chosen, mutant.file, root, lambda path: compiled(path.read_text(), place, after, str(path)))


def _note(row: dict[str, Any]) -> None:
    write(recorded() | {row["key"]: row})
    where = f"{row['file'].removeprefix('src/modellego/')}:{row['line']}"
    print(f"{row['outcome']:8} {where}  {row['before']}  ->  {row['after']}  {row['by']}", flush=True)


def recorded() -> dict[str, Any]:
    """Return the rows on disk, by key."""
    rows = json.loads(RECORD.read_text())["mutants"] if RECORD.exists() else []
    return {row["key"]: row for row in rows}


def write(rows: dict[str, Any]) -> None:
    """Write the rows in the order of the files, whole or not at all."""
    RECORD.parent.mkdir(exist_ok=True)
    ordered = sorted(rows.values(), key=lambda r: (ROOMS.index(r["room"]), r["file"], r["line"], r["key"]))
    part = RECORD.with_suffix(".part")
    part.write_text(json.dumps({"seed": SEED, "mutants": ordered}, indent=1) + "\n")
    part.replace(RECORD)


def equivalents() -> dict[str, str]:
    """Return why each mutant named in the table changes nothing that can be seen, by key."""
    table = tomllib.loads(EQUIVALENT.read_text()) if EQUIVALENT.exists() else {}
    return {entry["key"]: entry["why"] for entry in table.get("mutant", [])}


def show(survivors: bool) -> None:
    """Print by room what was tried, killed, survived; then the survivors, with the reason where there is one."""
    rows, why = recorded(), equivalents()
    print("| room | mutants | killed | equivalent | survived | share killed |\n|---|---|---|---|---|---|")
    for room in (*ROOMS, "all"):
        mine = [r for r in rows.values() if room in (r["room"], "all")]
        killed = sum(r["outcome"] == "killed" for r in mine)
        same = sum(r["outcome"] == "survived" and r["key"] in why for r in mine)
        share = f"{killed / (len(mine) - same):.1%}" if len(mine) > same else ""
        print(f"| {room} | {len(mine)} | {killed} | {same} | {len(mine) - killed - same} | {share} |")
    for row in rows.values() if survivors else ():
        if row["outcome"] == "survived":
            print(f"\n{row['key']} {row['file']}:{row['line']} {row['function']}\n  {row['statement']}")
            print(f"  {row['before']}  ->  {row['after']}\n  {why.get(row['key'], '?')} {row['by']}")


def main() -> None:
    """Run or show, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    running = verbs.add_parser("run", help="try the mutants that have not been tried yet")
    running.add_argument("--rooms", default=",".join(ROOMS))
    running.add_argument("--count", type=int, default=400, help="mutants over all rooms")
    running.add_argument("--again", choices=("survived", "killed"), help="try those of this outcome anew")
    showing = verbs.add_parser("show", help="print what was found")
    showing.add_argument("--survivors", action="store_true")
    given = parser.parse_args()
    if given.verb == "run":
        run(tuple(given.rooms.split(",")), given.count, given.again)
    else:
        show(given.survivors)


if __name__ == "__main__":
    main()
