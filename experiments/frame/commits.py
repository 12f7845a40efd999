"""Which commit makes a row, and which rows are older than the code that they measure."""

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CODE = ("src", "experiments", ":!experiments/results", ":!experiments/README.md")


def git(*words: str, root: Path = ROOT) -> str | None:
    """Return what git says, None where it fails or there is no git."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def made_by(root: Path = ROOT) -> dict[str, Any]:
    """Return what a row says of the code that made it: `commit`, and `dirty`: the code was changed since.

    Both are None outside a checkout.
    """
    commit = git("rev-parse", "--short", "HEAD", root=root)
    changes = git("status", "--porcelain", "--", *CODE, root=root)
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def states(rows: Mapping[str, Mapping[str, Any]], measured: Sequence[str], root: Path = ROOT) -> dict[str, list[str]]:
    """Sort rows' keys: `current`, `older` than the last commit that touched a measured path, or `unknown`.

    Unknown is a row without a commit, of a commit that is not in this history, or made by changed code.
    """
    last = git("log", "-1", "--format=%H", "--", *measured, root=root)
    found: dict[str, list[str]] = {"current": [], "older": [], "unknown": []}

    @cache
    def state(commit: str) -> str:
        if not last or git("cat-file", "-e", f"{commit}^{{commit}}", root=root) is None:
            return "unknown"
        return "current" if git("merge-base", "--is-ancestor", last, commit, root=root) is not None else "older"

    for key, row in rows.items():
        commit = row.get("commit")
        found["unknown" if not commit or row.get("dirty") else state(commit)].append(key)
    return found


def counts(found: Mapping[str, Sequence[str]]) -> str:
    """Write how many rows are in each state.

    >>> counts({"current": [], "older": ["a"], "unknown": ["b", "c"]})
    '1 older, 2 unknown'
    """
    number = Counter({state: len(keys) for state, keys in found.items()})
    return ", ".join(f"{number[state]} {state}" for state in found if number[state]) or "no rows"
