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
    while signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # the command has not begun
        time.sleep(0.001)
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


DURING_AN_IMPORT = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from modellego.cli.interrupts import interruptible
with interruptible():
    try:
        import interrupted
        time.sleep(20)
    finally:
        print("whole" if "interrupted" in sys.modules else "half")
"""
TURNS_IT_INTO_AN_ERROR = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
except KeyboardInterrupt:
    raise RecursionError("as numpy's and scipy's imports do")
"""


def test_an_interrupt_waits_for_the_end_of_an_import(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(TURNS_IT_INTO_AN_ERROR)
    done = subprocess.run(
        [sys.executable, "-c", DURING_AN_IMPORT],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "whole\n", "")


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    twice = "import os, signal, time\nfor _ in 'ab':\n    os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n"
    (tmp_path / "interrupted.py").write_text(twice)
    done = subprocess.run(
        [sys.executable, "-c", DURING_AN_IMPORT],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=15,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupt_in_a_destructor_is_not_lost(tmp_path: Path) -> None:
    program = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from modellego.cli.interrupts import interruptible
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
with interruptible():
    Dying()
    time.sleep(20)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=15,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")


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
