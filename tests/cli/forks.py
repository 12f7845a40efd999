"""Commands in processes of their own, forked from one that has imported torch: most of their time would be imports.

Run as a program this is the server: a JSON line on stdin names arguments, folder and where both streams go; the answer
is the exit code.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

LIMIT = 300  # seconds


def process(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a process of its own."""
    words = ["modellego", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        streams = [str(Path(folder) / name) for name in ("stdout", "stderr")]
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps([words, str(cwd), *streams]) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        said = [Path(stream).read_text(encoding="utf-8") for stream in streams]
    return subprocess.CompletedProcess(words, code, *said)


@cache
def _server() -> "subprocess.Popen[str]":
    """Start the one server of this worker; it ends with the worker, when its stdin is closed."""
    command = [sys.executable, __file__]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def _serve() -> None:
    from modellego.cli import main

    for name in ("modellego.cli.app", "modellego.assembly.verb", "modellego.disassembly.verb", "torch.export._trace"):
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(main, *json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(main: Callable[[], None], words: list[str], folder: str, stdout: str, stderr: str) -> None:
    """Run one command as a fresh interpreter would, and end."""
    signal.alarm(LIMIT)
    os.chdir(folder)
    sys.path[0] = ""
    for number, name in ((0, os.devnull), (1, stdout), (2, stderr)):
        os.dup2(os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT), number)
    sys.argv, code = words, 0
    try:
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
