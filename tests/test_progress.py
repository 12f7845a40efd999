"""What is followed is logged, and nobody is told who did not ask."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from modellego.cli import main
from modellego.preprocess import Preprocess
from modellego.progress import silent
from modellego.sources.whole import whole_brick


def test_a_stage_is_logged_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "modellego"), silent("refit", "layers") as update:
        update(3, 4)
        assert caplog.text == ""
    (record,) = caplog.records
    assert record.name == "modellego.progress"
    assert record.getMessage().startswith("refit: 3 layers in ")


def test_the_command_logs_on_stderr_when_it_is_asked_to(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    whole_brick(net, Preprocess(1, 8, 8), ["cat", "dog"], "pets").save(tmp_path / "pets.brick")
    root, ours = logging.getLogger(), logging.getLogger("modellego")
    before = root.handlers[:], ours.level
    try:
        with pytest.raises(SystemExit):
            main(["-v", "inspect", str(tmp_path / "pets.brick")])
    finally:
        root.handlers[:] = before[0]
        ours.setLevel(before[1])
    assert "modellego.brick.format.disk: loaded <Brick pets: 2 classes" in capsys.readouterr().err


def test_shells_can_complete_commands() -> None:
    environment = {"_MODELLEGO_COMPLETE": "complete_bash", "COMP_WORDS": "modellego dis", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "modellego"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.stdout.split() == ["disassemble", "distill"]
