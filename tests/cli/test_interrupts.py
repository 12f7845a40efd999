"""Ctrl-C and a closed stdout: the exit code and both streams, as a shell sees them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

STARTED = """
import sys, threading, time, os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it, and so would we
from modellego.cli import main
def stop():
    time.sleep({seconds})
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=stop, daemon=True).start()
main(["demo", "-o", "demo"])
"""


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0, 3.0])
def test_an_interrupt_ends_with_130_and_no_traceback(tmp_path: Path, seconds: float) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED.format(seconds=seconds)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="asks for a shell")
@pytest.mark.parametrize(
    "line", ["--help", "inspect zoo:lenet5 --weights random", "inspect zoo:lenet5 --weights random --json"]
)
@pytest.mark.parametrize("end", [">&-", "| true; exit ${PIPESTATUS[0]}"])
def test_a_closed_stdout_is_no_error(tmp_path: Path, line: str, end: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m modellego {line} {end}"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
