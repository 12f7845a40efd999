"""Graphs made to crash the process or to take its memory: each is refused in one sentence, cheaply."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import fx, nn

from modellego.brick import Brick, BrickInfo, save
from tests.brick.format.boxed import Outcome, open_boxed

Node = dict[str, Any]
X, SIZE, BATCH = {"node": "x"}, {"node": "size"}, {"node": "batch"}
N = {"node": "n"}


def call(target: str, *args: Any, name: str = "evil", **kwargs: Any) -> Node:
    return {"name": name, "op": "call_function", "target": target, "args": list(args), "kwargs": kwargs}


def power_of_batch(exponent: int) -> list[Node]:
    return [call("aten.sym_size.int", X, 0, name="batch"), call("operator.pow", BATCH, exponent, name="n")]


_WIDTH = call("aten.sym_size.int", X, 2, name="size")
_FLAT = call("aten.reshape.default", X, [-1, 192], name="flat")
_LONG = call("aten.repeat.default", {"node": "flat"}, [1, 3000], name="long")  # [B, 576000]


def chain(count: int, first: Node, step: Callable[[str, str], Node]) -> list[Node]:
    """`first`, named n0, and `count` more nodes, each made from the name of the one before."""
    return [first, *(step(f"n{i}", f"n{i + 1}") for i in range(count))]


# what is put behind the placeholder, and what the refusal says
CRASHES: dict[str, tuple[list[Node], str]] = {
    "dtype that is not a dtype": ([call("aten.scalar_tensor.default", 1, dtype=1000)], "'dtype' must be a dtype"),
    "dtype of ones": ([call("aten.ones.default", [1], dtype=99)], "'dtype' must be a dtype"),
    "dtype of new_full": ([call("aten.new_full.default", X, [1], 1, dtype=99)], "'dtype' must be a dtype"),
    "negative dtype": ([call("aten.softmax.int", X, 1, -1)], "'dtype' must be a dtype"),
    "computed dtype": ([_WIDTH, call("aten.ones.default", [1], dtype=SIZE)], "'dtype' must be a dtype"),
    "dtype by place": ([call("aten.to.dtype", X, 77)], "'dtype' must be a dtype"),
    "layout by number": ([call("aten.ones.default", [1], layout=50)], "'layout' must be a layout"),
    "memory format by number": ([call("aten.clone.default", X, memory_format=60)], "must be a memory format"),
    "computed memory format": ([_WIDTH, call("aten.contiguous.default", X, memory_format=SIZE)], "a memory format"),
    "device by number": ([call("aten.ones.default", [1], device=3)], "'device' must be a device"),
    "device by name": ([call("aten.ones.default", [1], device="cuda:99")], "'device' must be a device"),
    "pinned memory": ([call("aten.ones.default", [1], pin_memory=True)], "pinned"),
    "tensor for a list": ([call("aten.mean.dim", X, X)], "'dim' must be a list"),
    "number for a flag": ([call("aten.mean.dim", X, [1], 5)], "'keepdim' must be true or false"),
    "argument too many": ([call("aten.relu.default", X, X)], "takes 1 arguments"),
    "argument twice": ([call("aten.softmax.int", X, 1, dim=1)], "twice"),
    "argument unknown": ([call("aten.relu.default", X, other=X)], "no argument 'other'"),
    "argument missing": ([call("aten.mul.Tensor", X)], "lacks the argument 'other'"),
    "add of one": ([_WIDTH, call("operator.add", SIZE)], "add takes 2 operands"),
    "neg of two": ([_WIDTH, call("operator.neg", SIZE, SIZE)], "neg"),
}
SIZES: dict[str, tuple[list[Node], str]] = {
    "a bare power": ([call("operator.pow", -2, 34, name="n"), call("aten.zeros.default", [N])], "bare numbers"),
    "a bare number to the size": (
        [_WIDTH, call("operator.pow", -2, SIZE, name="n"), call("aten.zeros.default", [N])], "not a bare number",
    ),
    "power of the batch": ([*power_of_batch(34), call("aten.zeros.default", [N])], "64 bits"),
    "square of the batch": ([*power_of_batch(3), call("aten.zeros.default", [N, 2**18])], "MiB per image|overflow"),
    "only at one batch": (
        [
            call("aten.sym_size.int", X, 0, name="batch"), call("operator.eq", BATCH, 2, name="two"),
            call("operator.mul", {"node": "two"}, 2**34, name="n"), call("aten.zeros.default", [N]),
        ],
        "only grow with the batch",
    ),
    "less the batch": (
        [
            call("aten.sym_size.int", X, 0, name="batch"), call("operator.sub", BATCH, 1, name="n"),
            call("aten.zeros.default", [N, 2**34]),
        ],
        "only grow with the batch",
    ),
    "empty but for large batches": (
        [
            call("aten.slice.Tensor", X, 0, 70000),
            call("aten.repeat.default", {"node": "evil"}, [2**20, 9, 9, 9], name="n"),
        ],
        "empty tensor",
    ),
    "a hundred tensors at once": (
        [
            *(call("aten.ones.default", [2**24], name=f"big{i}") for i in range(100)),
            call("aten.stack.default", [{"node": f"big{i}"} for i in range(100)]),
        ],
        "MiB per image",
    ),
    "einsum's inside": (
        [_FLAT, _LONG, call("aten.einsum.default", "bi,bj->bij", [{"node": "long"}, {"node": "long"}])],
        "MiB|work|overflow",
    ),
    "matmul of giants": (
        [
            call("aten.ones.default", [2**13, 2**12], name="a"), call("aten.ones.default", [2**12, 2**13], name="b"),
            *chain(4, call("aten.matmul.default", {"node": "a"}, {"node": "b"}, name="n0"),
                   lambda old, new: call("aten.matmul.default", {"node": old}, {"node": old}, name=new)),
        ],
        "MiB per image|work",
    ),
    "inner broadcast of matmul": (
        [
            call("aten.ones.default", [2**12, 1, 1, 64], name="a"),
            call("aten.ones.default", [1, 2**12, 64, 1], name="b"),
            call("aten.matmul.default", {"node": "a"}, {"node": "b"}, name="n"), call("aten.sum.default", N),
        ],
        "MiB per image",
    ),
    "distances": (
        [
            call("aten.ones.default", [2**13, 2**9], name="a"),
            *(call("aten.cdist.default", {"node": "a"}, {"node": "a"}, name=f"d{i}") for i in range(4)),
        ],
        "MiB per image|work",
    ),
    "powers of a size in a chain": (
        [
            *chain(8, call("aten.sym_size.int", X, 2, name="n0"),
                   lambda old, new: call("operator.pow", {"node": old}, 64, name=new)),
            call("aten.zeros.default", [{"node": "n8"}]),
        ],
        "64 bits",
    ),
    "products of a size in a chain": (
        chain(40, call("aten.sym_size.int", X, 0, name="n0"),
              lambda old, new: call("operator.mul", {"node": old}, {"node": old}, name=new)),
        "64 bits",
    ),
    "outer products in a chain": (
        [
            _FLAT,
            *chain(6, call("aten.mean.dim", {"node": "flat"}, [0], name="n0"),
                   lambda old, new: call("aten.repeat.default", {"node": old}, [512], name=new)),
        ],
        "MiB per image|overflow",
    ),
    "many rows sorted": (
        [
            call("aten.ones.default", [2**24], name="a"),
            *(call("aten.sort.default", {"node": "a"}, name=f"s{i}") for i in range(30)),
        ],
        "MiB per image|work",
    ),
    "a window over everything": (
        [
            call("aten.ones.default", [1, 64, 1024, 1024], name="a"),
            call("aten.max_pool2d.default", {"node": "a"}, [513, 513], [1, 1], [256, 256], name="p"),
        ],
        "MiB per image|work",
    ),
    "thousands of pieces": (
        [call("aten.ones.default", [8000, 2], name="a"), call("aten.unbind.int", {"node": "a"})], "pieces",
    ),
    "pieces of a batch": ([call("aten.unbind.int", X)], "pieces"),
}  # fmt: skip


def lstm(steps: int, weights: int = 4, layers: int = 1, states: tuple[str, ...] = ("h", "h")) -> list[Node]:
    one = [call("aten.zeros.default", s, name=f"w{i}") for i, s in enumerate(([4, 2], [4, 1], [4], [4]))]
    state = [call("aten.zeros.default", [n, 1, 1], name=name) for n, name in ((1, "h"), (2, "two"))]
    sequence = call("aten.zeros.default", [1, steps, 2], name="s")
    params, held = [{"node": f"w{i}"} for i in range(weights)], [{"node": name} for name in states]
    run = call("aten.lstm.input", {"node": "s"}, held, params, True, layers, 0.0, False, False, True)
    return [*one, *state, sequence, run]


def by_keywords(nodes: list[Node]) -> list[Node]:
    """Give the last call's arguments by their names."""
    *before, run = nodes
    names = [a.name for a in torch.ops.aten.lstm.input._schema.arguments]
    return [*before, run | {"args": [], "kwargs": dict(zip(names, run["args"], strict=True))}]


CRASHES |= {
    "an LSTM without weights": (lstm(3, weights=0), "0 weights and biases; 1 layers have 4"),
    "an LSTM of no layers": (lstm(3, weights=0, layers=0), "states must be of 0 layers"),
    "an LSTM of two layers with the weights of one": (lstm(3, layers=2, states=("two", "two")), "2 layers have 8"),
    "an LSTM with states of unlike layers": (lstm(3, states=("h", "two")), "states must be of 1 layers"),
    "an LSTM without weights, by keywords": (by_keywords(lstm(3, weights=0)), "0 weights and biases"),
    "an LSTM with one state": (lstm(3, states=("h",)), "1 states, each a tensor, where a layer has 2"),
}
SIZES["an LSTM of 20,000 steps"] = (lstm(20_000), "pieces")
ATTACKS = CRASHES | SIZES


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """All attacks, opened in one process (a new one after a crash)."""
    place = tmp_path_factory.mktemp("attacks")
    honest = save(_brick(), place / "honest")
    text, folders = (honest / "brick.json").read_text(), [honest]
    for i, (nodes, _) in enumerate(ATTACKS.values()):
        folder = place / str(i)
        folder.mkdir()
        document = json.loads(text)
        document["network"]["nodes"][1:1] = nodes
        (folder / "brick.json").write_text(json.dumps(document))
        (folder / "model.safetensors").write_bytes((honest / "model.safetensors").read_bytes())
        folders.append(folder)
    return open_boxed(folders)


def _brick() -> Brick:
    root = nn.Module()
    root.add_module("head", nn.Linear(3, 2))
    graph = fx.Graph()
    x = graph.placeholder("x")
    pooled = graph.call_function(torch.ops.aten.mean.dim, (x, [2, 3]))
    graph.output(graph.call_module("head", (pooled,)))
    return Brick(fx.GraphModule(root, graph), BrickInfo(classes=("a", "b"), input_shape=(3, 8, 8)))


def test_the_brick_that_is_attacked_runs(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["honest"].verdict == "ran"


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(outcomes: dict[str, Outcome], name: str) -> None:
    outcomes[str(list(ATTACKS).index(name))].check_refused(ATTACKS[name][1])


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_little(outcomes: dict[str, Outcome], name: str) -> None:
    outcomes[str(list(ATTACKS).index(name))].check_cheap()
