"""Bricks of a stranger, many thousands of them, made by chance with the format in mind: none may crash or be greedy.

Three kinds of case are drawn: a call of any op of the closed list with arguments drawn by its schema, right and wrong
ones; a change somewhere in an honest `brick.json`; a change in the weights file. Each brick is loaded and, if it loads,
run on one image and then on two, in a worker forked from a process that has torch loaded; a worker that dies is
replaced and its case written down. A case is good if it ran, or was refused by the package's own error, within 2
seconds of processor time and 512 MiB (loaded, and run on one image). An error that torch raises while the loaded
network runs (an index in the weights that is out of range) is counted by itself.

    python -m experiments.fuzz [--count 50000] [--seed 0] [--workers 2]
"""

import argparse
import json
import os
import random
import resource
import select
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

import modellego as ml
from modellego.brick import Brick, BrickInfo, make_info
from modellego.capture.ops import OPS
from modellego.errors import LegoError

RECORD = Path(__file__).resolve().parent / "results" / "fuzz.json"
SECONDS, MEBIBYTES = 2.0, 512.0
_ROOM = 3 * 2**30  # of address space beside what a worker starts with: a greedy case ends in MemoryError
_BLOCK = 2000
_HANGS = 20  # seconds of processor time after which a worker is killed
_INTS = (0, 1, -1, 2, 3, -2, 7, 8, 64, 99, 255, 1000, 65536, 2**24, 2**31, 2**34, 2**62, -(2**62), 2**63 - 1)
_FLOATS = (0.0, 1.0, -1.0, 0.5, 1e-5, 1e30, -1e30, {"float": "inf"}, {"float": "nan"})
_STRINGS = (
    "",
    "none",
    "tanh",
    "mean",
    "sum",
    "floor",
    "reflect",
    "constant",
    "same",
    "valid",
    "ij,jk->ik",
    "b...->b",
    "ortho",
    "amax",
    "a" * 200,
)
_DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool", "complex64")
_SHAPES: tuple[list[int], ...] = (
    [1],
    [2],
    [3],
    [2, 3],
    [3, 2],
    [1, 3],
    [4, 3, 8, 8],
    [1, 3, 8, 8],
    [2, 2, 2],
    [8, 8],
    [5, 4, 3, 2, 1],
    [64],
    [],
)


@dataclass(frozen=True)
class Outcome:
    """What came of one case: `ran`, `refused`, `stopped` (torch's own error in a run), an error's name or `crashed`."""

    case: int
    kind: str
    verdict: str
    text: str = ""
    seconds: float = 0.0
    mebibytes: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the case is as it should be."""
        cheap = self.seconds < SECONDS and self.mebibytes < MEBIBYTES
        return cheap and self.verdict in ("ran", "refused", "stopped")


def honest() -> Brick:
    """Return the brick that is changed: convolution, norm, a bare tensor, an op and a head."""
    torch.manual_seed(0)
    root = nn.Module()
    root.add_module("stem", nn.Conv2d(3, 4, 3, padding=1))
    root.add_module("norm", nn.BatchNorm2d(4))
    root.add_module("head", nn.Linear(4, 2))
    root.register_buffer("order", torch.tensor([1, 0, 3, 2]))
    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_module("norm", (graph.call_module("stem", (x,)),))
    y = graph.call_function(torch.ops.aten.index_select.default, (y, 1, graph.get_attr("order")))
    y = graph.call_function(torch.ops.aten.mean.dim, (graph.call_function(torch.ops.aten.relu.default, (y,)), [2, 3]))
    graph.output(graph.call_module("head", (y,)))
    info: BrickInfo = make_info(classes=("a", "b"), input_shape=(3, 8, 8))
    return Brick(fx.GraphModule(root, graph), info)


def draw(case: int, text: str, weights: bytes) -> tuple[str, str | bytes, bytes]:
    """Return the kind, `brick.json` and weights of a case, from an honest brick's; the same for the same number."""
    chance = random.Random(case)
    kind = chance.choices(("op", "document", "weights"), (6, 3, 1))[0]
    if kind == "op":
        document = json.loads(text)
        document["network"]["nodes"][1:1] = _call(chance)
        return kind, json.dumps(document), weights
    if kind == "document":
        document = json.loads(text)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            _change(document, chance)
        return kind, json.dumps(document), weights
    return kind, text, _damage(weights, chance)


def _call(chance: random.Random) -> list[dict[str, Any]]:
    """Draw a call of one op, after some tensors and a size that it may take."""
    nodes = [_node("size", "aten.sym_size.int", [{"node": "x"}, chance.choice((0, 1, 2))])]
    for i in range(3):
        shape, dtype = chance.choice(_SHAPES), {"dtype": chance.choice(_DTYPES)}
        nodes.append(_node(f"t{i}", "aten.ones.default", [shape], {"dtype": dtype}))
    name = chance.choice(list(OPS))
    op = OPS[name]
    if not isinstance(op, torch._ops.OpOverload):
        args = [
            _any(chance) if chance.random() < 0.3 else _of("int", chance) for _ in range(chance.choice((1, 2, 2, 3)))
        ]
        return [*nodes, _node("evil", name, args)]
    args, kwargs = [], {}
    for parameter in op._schema.arguments:
        if parameter.has_default_value() and chance.random() < 0.5:
            if not parameter.kwarg_only:
                break
            continue
        value = _any(chance) if chance.random() < 0.07 else _of(str(parameter.real_type), chance)
        if parameter.kwarg_only:
            kwargs[parameter.name] = value
        else:
            args.append(value)
    return [*nodes, _node("evil", name, args, kwargs)]


def _node(name: str, target: str, args: list[Any], kwargs: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "op": "call_function", "target": target, "args": args, "kwargs": kwargs or {}}


def _of(kind: str, chance: random.Random) -> Any:
    """Draw a value for a parameter of this kind in the op's schema."""
    if kind.startswith("Optional["):
        return None if chance.random() < 0.3 else _of(kind[9:-1], chance)
    if kind.startswith("List["):
        return [_of(kind[5:-1], chance) for _ in range(chance.choice((0, 1, 1, 2, 2, 2, 3, 4)))]
    small = chance.random() < 0.7
    match kind:
        case "Tensor":
            return {"node": chance.choice(("x", "x", "t0", "t1", "t2"))}
        case "int":
            if chance.random() < 0.1:
                return {"node": "size"}
            return chance.choice((0, 1, 2, 3, -1)) if small else chance.choice(_INTS)
        case "float" | "number":
            return chance.choice((0.5, 1, 2)) if small else chance.choice((*_FLOATS, *_INTS))
        case "bool":
            return chance.random() < 0.5
        case "str":
            return chance.choice(_STRINGS)
        case "ScalarType":
            return {"dtype": chance.choice(_DTYPES)} if small else _any(chance)
        case "Layout":
            return {"layout": "strided"} if small else _any(chance)
        case "Device":
            return {"device": "cpu"} if small else _any(chance)
        case "MemoryFormat":
            return {"memory_format": chance.choice(("contiguous_format", "channels_last", "preserve_format"))}
    return None


def _any(chance: random.Random) -> Any:
    """Draw any value that a node may take, and some that it may not."""
    return chance.choice(
        (
            None, True, chance.choice(_INTS), chance.choice(_FLOATS), chance.choice(_STRINGS), [], [1], [[1]],
            {"tuple": []}, {"tuple": [1, {"node": "x"}]}, {"node": "x"}, {"node": "size"}, {"node": "ghost"},
            {"dtype": "int8"}, {"dtype": 5}, {"device": "cpu"}, {"layout": "strided"}, {"eval": "1"},
            {"memory_format": "channels_last"}, [{"node": "x"}] * 3,
            [0] * 5000,
        )
    )  # fmt: skip


def _change(document: Any, chance: random.Random) -> None:
    """Change, remove or double one thing somewhere in a document."""
    places = list(_places(document))
    owner, key = chance.choice(places)
    act = chance.random()
    if act < 0.6:
        owner[key] = _any(chance) if chance.random() < 0.6 else chance.choice((*_INTS, "x", "stem", "a\nb", {}, [{}]))
    elif act < 0.8:
        del owner[key]
    elif isinstance(owner, list):
        owner.insert(key, owner[key])
    else:
        owner[chance.choice(("x", "kind", "node", "ties", "notes"))] = owner[key]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _damage(weights: bytes, chance: random.Random) -> bytes:
    """Change the header by structure, or bytes anywhere, or the length."""
    length = struct.unpack("<Q", weights[:8])[0]
    act = chance.random()
    if act < 0.5:
        header = json.loads(weights[8 : 8 + length])
        _change(header, chance)
        text = json.dumps(header).encode()
        return (
            struct.pack("<Q", len(text) if act < 0.45 else chance.choice(_INTS) % 2**64) + text + weights[8 + length :]
        )
    if act < 0.8:
        raw = bytearray(weights)
        for _ in range(chance.choice((1, 4, 100))):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        return bytes(raw)
    return weights[: chance.randrange(len(weights))] if act < 0.9 else weights + bytes(chance.choice((1, 8, 2**20)))


def attempt(case: int, folder: Path, text: str, weights: bytes) -> Outcome:
    """Write one case to `folder`, open it, run it, and say what came of it."""
    kind, document, data = draw(case, text, weights)
    (folder / "brick.json").write_bytes(
        document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    )
    (folder / "model.safetensors").write_bytes(data)
    _forget_peak()
    before, start = _memory("VmRSS"), time.process_time()
    verdict, said = _open(folder, (1,))
    seconds, mebibytes = time.process_time() - start, (_memory("VmHWM") - before) / 1024
    if verdict == "ran":
        verdict, said = _open(folder, (2,))  # what two images cost is theirs
    return Outcome(case, kind, verdict, said, seconds, mebibytes)


def _open(folder: Path, batches: tuple[int, ...]) -> tuple[str, str]:
    try:
        brick = ml.load(folder)
    except LegoError as error:
        return "refused", str(error)[:200]
    except Exception as error:
        return type(error).__name__, str(error)[:200]
    try:
        with torch.no_grad():
            for batch in batches:
                brick(torch.rand(batch, *(brick.info.input_shape or (3, 8, 8))))
    except MemoryError as error:
        return "MemoryError", str(error)[:200]
    except Exception as error:
        greedy = "memory" in str(error) or "alloc" in str(error)
        return ("MemoryError" if greedy else "stopped"), f"{type(error).__name__}: {str(error)[:200]}"
    return "ran", ""


def _forget_peak() -> None:
    """Let the highest resident memory count from now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(key: str) -> float:
    """Return a line of this process's memory, in KiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(key)).split()[1])


def outcomes(cases: Iterable[int], workers: int, seen: Callable[[Outcome], None]) -> None:
    """Try cases in forked workers; a case whose worker dies is `crashed`."""
    with tempfile.TemporaryDirectory() as place:
        folder = honest().save(Path(place) / "honest")
        text, weights = (folder / "brick.json").read_text(), (folder / "model.safetensors").read_bytes()
        _warm(folder)
        todo, running = iter(cases), dict[int, tuple[int, list[int]]]()  # pipe -> worker's id, its cases
        while True:
            while len(running) < workers and (chunk := [c for _, c in zip(range(200), todo, strict=False)]):
                pipe, process = _worker(chunk, Path(place), text, weights)
                running[pipe] = process, chunk
            if not running:
                return
            for pipe in select.select(list(running), [], [])[0]:
                process, chunk = running.pop(pipe)
                lines = _rest(pipe)
                _, status = os.waitpid(process, 0)
                for line in lines:
                    seen(Outcome(**json.loads(line)))
                if len(lines) < len(chunk):
                    kind = draw(chunk[len(lines)], text, weights)[0]
                    seen(Outcome(chunk[len(lines)], kind, "crashed", f"status {status}"))
                    again = chunk[len(lines) + 1 :]
                    if again:
                        new_pipe, new = _worker(again, Path(place), text, weights)
                        running[new_pipe] = new, again


def _warm(folder: Path) -> None:
    """Load and run once, so that what is made at first use is there before the forks."""
    torch.set_num_threads(1)
    _open(folder, (1, 2))


def _worker(chunk: list[int], place: Path, text: str, weights: bytes) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return reading, process
    os.close(reading)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    folder = Path(tempfile.mkdtemp(dir=place))
    room = int(_memory("VmSize") * 1024) + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    with os.fdopen(writing, "w") as pipe:
        for case in chunk:
            signal.setitimer(signal.ITIMER_PROF, _HANGS)
            pipe.write(json.dumps(asdict(attempt(case, folder, text, weights))) + "\n")
            pipe.flush()
    os._exit(0)


def _rest(pipe: int) -> list[str]:
    with os.fdopen(pipe) as file:
        return [line for line in file.read().splitlines() if line.endswith("}")]


def main(arguments: list[str] | None = None) -> int:
    """Run the cases, print and record what came of them; 1 where one was bad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RECORD)
    asked = parser.parse_args(arguments)
    tally, bad, worst = Counter[str](), list[Outcome](), {"seconds": 0.0, "mebibytes": 0.0}

    def seen(outcome: Outcome) -> None:
        tally[f"{outcome.kind} {outcome.verdict}"] += 1
        worst["seconds"] = max(worst["seconds"], outcome.seconds)
        worst["mebibytes"] = max(worst["mebibytes"], outcome.mebibytes)
        if not outcome.good:
            bad.append(outcome)
            print(outcome, file=sys.stderr, flush=True)

    end = asked.seed + asked.count
    for first in range(asked.seed, end, _BLOCK):  # written down block by block: a run that is stopped is not lost
        outcomes(range(first, min(first + _BLOCK, end)), asked.workers, seen)
        record = {
            "command": f"python -m experiments.fuzz --count {asked.count} --seed {asked.seed}",
            "torch": torch.__version__,
            "cases": sum(tally.values()),
            "tally": dict(sorted(tally.items())),
            "worst": {key: round(value, 2) for key, value in worst.items()},
            "bad": [asdict(outcome) for outcome in bad],
        }
        asked.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["tally"]), record["worst"], f"{len(bad)} bad")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
