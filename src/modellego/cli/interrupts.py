"""Ctrl-C: ends a command with exit code 130 at any moment, while a library is still being imported too.

An exception raised in the middle of an import leaves half a library behind, and libraries turn it into errors of
their own. So an interrupt waits until the import under way is over; a second one does not wait.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

INTERRUPTED = 130  # what a shell says of a process that Ctrl-C ended
POLL = 0.02  # seconds between two looks at whether an import is over


class _Interrupts:
    """The interrupts of one command: whether one waits, and whether a call is our own second look."""

    def __init__(self) -> None:
        self._waits = self._our_look = False

    def arrived(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, or look again soon where an import is under way."""
        ours, self._our_look = self._our_look, False
        if not importing(frame):
            self._waits = False
            raise KeyboardInterrupt
        if self._waits and not ours:
            os._exit(INTERRUPTED)
        self._waits = True
        self.again()

    def again(self) -> None:
        """Let the interrupt arrive once more, a moment later."""
        later = threading.Timer(POLL, self._look)
        later.daemon = True
        later.start()

    def _look(self) -> None:
        self._our_look = True
        if sys.platform == "win32":
            _thread.interrupt_main(signal.SIGINT)
        else:  # wakes a main thread that sleeps, too
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def lost(self, problem: Any) -> None:
        """Take up an interrupt that fell into a destructor, where Python would print it and go on."""
        if problem.exc_type is KeyboardInterrupt:
            self.again()
        else:
            sys.__unraisablehook__(problem)


def importing(frame: FrameType | None) -> bool:
    """Say whether a frame, or one that called it, is an import.

    >>> import sys
    >>> importing(sys._getframe())
    False
    """
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C into the exit code 130 while the block runs; change nothing in a thread, or where it is ignored."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as `nohup` and a shell's `&` set it
        yield
        return
    interrupts = _Interrupts()
    before, hook = signal.signal(signal.SIGINT, interrupts.arrived), sys.unraisablehook
    sys.unraisablehook = interrupts.lost
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook
