"""An interrupted disassembly goes on from its checkpoint and ends in the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from modellego.brick import Brick
from modellego.data import Data
from modellego.disassembly import checkpoint
from modellego.disassembly.sampling import Samples
from modellego.disassembly.verb import disassemble
from modellego.errors import FormatError
from modellego.locate import Budget
from modellego.progress import Update

THRESHOLDS: dict[str, Any] = {"samples": Samples(5), "refit_images": 8}
BUDGET: dict[str, Any] = {"budget": Budget(macs=0.6), "refit_images": 8}


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)


def stopping(title: str, after: int) -> Any:
    """Return a progress that interrupts a stage once so many of its steps are done, and lists the stages it saw."""

    @contextmanager
    def progress(name: str, unit: str = "") -> Iterator[Update]:
        def update(done: int, total: int) -> None:
            if name == title and done == after:
                raise Interrupted

        yield update

    return progress


def seen(titles: list[tuple[str, int]]) -> Any:
    @contextmanager
    def progress(name: str, unit: str = "") -> Iterator[Update]:
        steps = [0]

        def update(done: int, total: int) -> None:
            steps[0] += 1

        yield update
        titles.append((name, steps[0]))

    return progress


def files(brick: Brick, folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(brick.save(folder).iterdir())}


@pytest.mark.parametrize(
    ("how", "title", "after"),
    [(THRESHOLDS, "contribution", 2), (THRESHOLDS, "refit", 3), (THRESHOLDS, "refit", 12), (BUDGET, "refit", 7)],
)
def test_an_interrupted_run_ends_in_the_same_bytes(
    net: Brick, digits: Data, tmp_path: Path, how: dict[str, Any], title: str, after: int
) -> None:
    whole = files(disassemble(net, digits, "0-3", **how), tmp_path / "whole")
    file = tmp_path / "cut.checkpoint"
    with pytest.raises(Interrupted):
        disassemble(net, digits, "0-3", **how, checkpoint=file, progress=stopping(title, after))
    assert file.is_file()
    titles: list[tuple[str, int]] = []
    resumed = disassemble(net, digits, "0-3", **how, checkpoint=file, resume=True, progress=seen(titles))
    assert files(resumed, tmp_path / "resumed") == whole
    assert not file.exists()
    if title == "refit":
        assert {"samples", "contribution", "rank", "budget"}.isdisjoint(name for name, _ in titles)
    else:
        assert dict(titles)["contribution"] == 4 - after


def test_a_run_that_ends_leaves_no_checkpoint(net: Brick, digits: Data, tmp_path: Path) -> None:
    disassemble(net, digits, "0-1", refit_images=0, checkpoint=tmp_path / "cut.checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_a_short_run_writes_none(net: Brick, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 60.0)
    with pytest.raises(Interrupted):
        disassemble(net, digits, "0-1", **THRESHOLDS, checkpoint=tmp_path / "cut", progress=stopping("refit", 1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unlike", ["model", "data", "options", "classes"])
def test_the_checkpoint_of_another_run_is_refused(net: Brick, digits: Data, tmp_path: Path, unlike: str) -> None:
    file = tmp_path / "cut.checkpoint"
    with pytest.raises(Interrupted):
        disassemble(net, digits, "0-1", **THRESHOLDS, checkpoint=file, progress=stopping("refit", 2))
    parameter = next(net.network.parameters())
    before = parameter.detach().clone()
    if unlike == "model":
        with torch.no_grad():
            parameter.add_(0.1)
    data = Data(digits.train.subset(slice(0, 110)), digits.test) if unlike == "data" else digits
    how = THRESHOLDS | ({"seed": 1} if unlike == "options" else {})
    named = "options" if unlike == "classes" else unlike
    try:
        with pytest.raises(FormatError, match=f"another run \\(its {named} differ\\)"):
            disassemble(net, data, "0-2" if unlike == "classes" else "0-1", **how, checkpoint=file, resume=True)
    finally:
        with torch.no_grad():
            parameter.copy_(before)
    assert file.is_file()


def test_there_is_nothing_to_resume(net: Brick, digits: Data, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no checkpoint"):
        disassemble(net, digits, "0-1", checkpoint=tmp_path / "none", resume=True)
    with pytest.raises(FormatError, match="name the checkpoint"):
        disassemble(net, digits, "0-1", resume=True)
