"""One-line faults put into the core rooms, one at a time: does a test of the mutated room fail?

A seeded sample of faults (mutants) is drawn over the rooms. Each is tried in a copy of the tree, in a process forked
from one that has the heavy libraries loaded: only those tests (and doctests) of the mutated room run that cover the
faulty line, the quickest first, up to the first failure. What is found goes into a JSON file as it is found; started
again, the run goes on where it ended. A survivor that no test can catch, because the fault changes nothing that
anyone could see, is named in `equivalent_mutants.toml` with the reason.

    python -m experiments.mutation run [--rooms channels,cut] [--count 400] [--again survived]
    python -m experiments.mutation show [--survivors]

Source of the method: DeMillo, Lipton and Sayward, "Hints on test data selection", 1978.
"""

import argparse
import ast
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import tomllib
from dataclasses import asdict
from pathlib import Path
from types import CodeType
from typing import Any

from experiments.mutants import Mutant, Place, compiled, mutants_of
from experiments.trials import forked, module_name, preload, tested, with_probes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RECORD = HERE / "results" / "mutation.json"
EQUIVALENT = HERE / "equivalent_mutants.toml"
ROOMS = (
    "channels", "contribution", "cut", "refit", "leastsquares", "locate", "assembly", "brick", "data", "evaluation",
)  # fmt: skip
SEED = 0
LIMIT = 60  # seconds of processor time a mutant may take; one that takes more hangs, and counts as killed
ROOM_FOR_TESTS = 15.0  # seconds of processor time of tests tried on a mutant, the quickest first


def baseline(room: str, copy_of: Path) -> dict[str, Any]:
    """Return for each passing test of a room the processor time it takes and the statements it reaches."""
    files = {module_name(f): copy_of / f for f in sources(room, copy_of)}

    def make(file: Path) -> CodeType:
        return with_probes(file.read_text(), str(file), str(file.relative_to(copy_of)))

    tests = [f"tests/{room}", f"src/modellego/{room}"]
    found = forked(lambda: tested(tests, files, make, first=False), 1800)
    if found is None or not found["tests"]:
        raise SystemExit(f"the tests of {room} could not be run: run `pytest tests/{room}` to see why")
    failed = set(found["failed"])
    for name in sorted(failed):
        print(f"left out, as it fails without any fault: {name}")
    return {name: test for name, test in found["tests"].items() if name not in failed}


def sources(room: str, root: Path) -> list[str]:
    """Return the files of a room, by their paths from the root."""
    return sorted(str(p.relative_to(root)) for p in (root / "src/modellego" / room).rglob("*.py"))


def covering(mutant: Mutant, place: Place, tests: dict[str, Any]) -> list[str]:
    """Return the tests that reach a mutant's statement, quickest first; for one run at import, those of its file."""
    stem = Path(mutant.file).stem
    if mutant.function and not isinstance(place.statement, ast.FunctionDef | ast.ClassDef):
        at = [mutant.file, place.statement.lineno]
        chosen = [name for name, (_, lines) in tests.items() if at in lines]
    else:
        chosen = [name for name, (_, lines) in tests.items() if any(file == mutant.file for file, _ in lines)]
        chosen = chosen or list(tests)
    chosen.sort(key=lambda name: (f"test_{stem}.py" not in name and f"/{stem}.py" not in name, tests[name][0]))
    if place.statement.col_offset and mutant.function:
        chosen.sort(key=lambda name: tests[name][0])
    fitting: list[str] = []
    spent = 0.0
    for name in chosen:
        spent += tests[name][0]
        if fitting and spent > ROOM_FOR_TESTS:
            break
        fitting.append(name)
    return fitting


def tried(mutant: Mutant, place: Place, after: ast.AST, tests: dict[str, Any], root: Path) -> dict[str, Any]:
    """Try one mutant and return its row."""
    chosen = covering(mutant, place, tests)
    row = {"key": mutant.key, "room": mutant.room, **asdict(mutant), "tests": len(chosen)}
    if not chosen:
        return row | {"outcome": "survived", "by": "no test reaches it"}

    def make(file: Path) -> CodeType:
        return compiled(file.read_text(), place, after, str(file))

    files = {module_name(mutant.file): root / mutant.file}
    began = time.monotonic()
    found = forked(lambda: tested(chosen, files, make, first=True), LIMIT)
    row["seconds"] = round(time.monotonic() - began, 1)
    if found is None:
        return row | {"outcome": "killed", "by": f"more than {LIMIT} s, or the end of the process"}
    if found["failed"]:
        return row | {"outcome": "killed", "by": found["failed"][0]}
    return row | {"outcome": "survived", "by": ""}


def sample(rooms: tuple[str, ...], count: int, root: Path) -> dict[str, list[tuple[Mutant, Place, ast.AST]]]:
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
    rows = recorded()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "copy"
        for part in ("src", "tests", "experiments"):
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
        shutil.copy(ROOT / "pyproject.toml", root)
        os.chdir(root)
        sys.path[:] = [str(root / "src"), *(p for p in sys.path if Path(p).resolve() != ROOT / "src")]
        os.environ.setdefault("MODELLEGO_SHARED", str(ROOT.parent / "shared"))
        preload(ROOMS)
        for room, drawn in sample(rooms, count, root).items():
            keys = {m.key for m, *_ in drawn}
            rows = {k: r for k, r in rows.items() if r["room"] != room or k in keys}
            waiting = [d for d in drawn if d[0].key not in rows or rows[d[0].key]["outcome"] == again]
            if not waiting:
                continue
            tests = baseline(room, root)
            print(f"{room}: {len(waiting)} mutants, {len(tests)} tests", flush=True)
            for mutant, place, after in waiting:
                rows[mutant.key] = row = tried(mutant, place, after, tests, root)
                write(rows)
                where = f"{mutant.file.removeprefix('src/modellego/')}:{mutant.line}"
                print(f"{row['outcome']:8} {where}  {mutant.before}  ->  {mutant.after}  {row['by']}", flush=True)


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
