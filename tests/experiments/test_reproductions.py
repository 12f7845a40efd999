"""Every reproduction on made-up data: it runs through, its table names the paper's figures, and it resumes."""

import re
from collections.abc import Callable

import pytest

from experiments import ablation, assemble, curves, heatmaps
from experiments.frame.page import finish, starting
from experiments.frame.registry import find
from experiments.frame.run import Run
from experiments.study.paper_figures import PAIRS, Task

SMALL = "C10 0-2 + C100 0-19"
WORDS = {  # of a table: ours and the paper's
    "disassemble": ("back to front", "95.47", "cifar100 20-69"),
    "assemble": (SMALL, "74.17"),
    "ablation": ("+ padding + scaling (layers)", "refit"),
    "curves": ("conv beta, poster", "linear alpha, back to front"),
    "routes": ("dog alone", "shared"),
    "heatmaps": ("alike within a class", "cifar10"),
    "appendix": ("mnist 0-4", "assembled without training"),
}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair and few thresholds are enough."""
    one = {SMALL: PAIRS[SMALL]}
    monkeypatch.setattr(assemble, "PAIRS", one)
    monkeypatch.setattr(ablation, "CHOSEN", (SMALL,))
    monkeypatch.setattr(curves, "CURVES", (Task("cifar10", "0-2"),))
    monkeypatch.setattr(curves, "VALUES", (0.0, 0.4))
    monkeypatch.setattr(heatmaps, "SETS", ("cifar10",))


@pytest.mark.parametrize("name", WORDS)
def test_runs_through_and_shows_its_figures(name: str, run_of: Callable[[str], Run]) -> None:
    run = run_of(name)
    reproduction = find(name)
    starting(run)
    reproduction.run(run)
    done = finish(reproduction, run)
    assert all(word in done.page for word in WORDS[name])
    assert "nan" not in done.page
    assert all(f.stat().st_size for f in done.files)
    assert re.search(r"\*\*The paper\*\* .*\n\n\*\*Here\*\* ", done.page)


def test_finished_run_works_nothing_out_again(run_of: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch) -> None:
    find("disassemble").run(run_of("disassemble"))
    monkeypatch.setattr(Run, "_subject", lambda *_: pytest.fail("opened a source again"))
    find("disassemble").run(run_of("disassemble"))


def test_alpha_moves_nothing_under_the_posters_rule(run_of: Callable[[str], Run]) -> None:
    run = run_of("curves")
    find("curves").run(run)
    rows = run.record.document["rows"].values()
    kept = {row["kept_groups"] for row in rows if row.get("axis") == "conv_alpha" and row["rule"] == "poster"}
    assert len(kept) == 1
