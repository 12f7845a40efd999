"""Files made to take memory or time while they are read, that lie about each other, or change while they are read."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx, nn

from modellego.brick import Assembled, Brick, BrickInfo, Joint, assembled_info, load, save
from modellego.brick.format.folder import write_folder
from tests.brick.format.boxed import Outcome, open_boxed

Change = Callable[[Path], None]


def tiny(bias: float = 0.0, classes: tuple[str, ...] = ("a", "b")) -> Brick:
    root = nn.Module()
    root.add_module("head", nn.Linear(3, len(classes)))
    nn.init.constant_(root.head.bias, bias)
    graph = fx.Graph()
    pooled = graph.call_function(torch.ops.aten.mean.dim, (graph.placeholder("x"), [2, 3]))
    graph.output(graph.call_module("head", (pooled,)))
    return Brick(fx.GraphModule(root, graph), BrickInfo(classes=classes, input_shape=(3, 8, 8)))


def edit(change: Callable[[dict[str, Any]], None]) -> Change:
    def apply(folder: Path) -> None:
        document = json.loads((folder / "brick.json").read_text())
        change(document)
        (folder / "brick.json").write_text(json.dumps(document))

    return apply


def weights(change: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]) -> Change:
    def apply(folder: Path) -> None:
        raw = (folder / "model.safetensors").read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header, data = change(json.loads(raw[8 : 8 + length]), raw[8 + length :])
        text = json.dumps(header).encode()
        (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)

    return apply


def many_lists(folder: Path) -> None:
    text = (folder / "brick.json").read_text().rstrip()
    (folder / "brick.json").write_text(text[:-1] + ', "x": [' + "[]," * 10_000_000 + "[]]}")


def checkpoint(folder: Path) -> None:
    torch.save({"head.weight": torch.zeros(2, 3)}, folder / "model.safetensors")


def sparse(folder: Path) -> None:
    with open(folder / "model.safetensors", "r+b") as file:
        file.truncate(2**35)


def long_header(folder: Path) -> None:
    text = b'{"a":[' + b"[]," * 10_000_000 + b"[]]}"
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)


def no_columns(document: dict[str, Any]) -> None:
    document["network"]["tensors"]["t"] = {"kind": "buffer", "dtype": "float32", "shape": [2**31, 0]}
    read = {"name": "t", "op": "get_attr", "target": "t", "args": [], "kwargs": {}}
    one = {
        "name": "wide",
        "op": "call_function",
        "target": "aten.mm.default",
        "args": [{"node": "t"}, {"node": "t"}],
        "kwargs": {},
    }
    document["network"]["nodes"][1:1] = [read, one]


def empty_tensor(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return header | {"t": {"dtype": "F32", "shape": [2**31, 0], "data_offsets": [len(data), len(data)]}}, data


def shared_bytes(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    header["head.bias"]["data_offsets"] = [header["head.weight"]["data_offsets"][0]] * 2
    header["head.bias"]["data_offsets"][1] += 8
    return header, data


def unbinds(document: dict[str, Any]) -> None:
    nodes = [
        {
            "name": f"u{i}",
            "op": "call_function",
            "target": "aten.unbind.int",
            "args": [{"node": "many"}, 0],
            "kwargs": {},
        }
        for i in range(2000)
    ]
    many = {
        "name": "many",
        "op": "call_function",
        "target": "aten.ones.default",
        "args": [[4096]],
        "kwargs": {},
    }
    document["network"]["nodes"][1:1] = [many, *nodes]


def slow_nodes(document: dict[str, Any]) -> None:
    document["network"]["nodes"][1:1] = [
        {
            "name": f"u{i}",
            "op": "call_function",
            "target": "aten.upsample_bilinear2d.vec",
            "args": [{"node": "x"}, [8 + i % 100, 8 + i // 100], False, None],
            "kwargs": {},
        }
        for i in range(5000)
    ]


ATTACKS: dict[str, tuple[list[Change], str]] = {
    "30 MB of empty lists": ([many_lists], "values"),
    "60,000 classes and one double": (
        [edit(lambda d: d.update(classes=[f"c{i}" for i in range(60_000)] + ["c59999"]))],
        "twice",
    ),
    "a million classes": ([edit(lambda d: d.update(classes=[f"c{i}" for i in range(10**6)]))], "values"),
    "250,000 merge groups": (
        [edit(lambda d: d["joint"].update(merge=[[i] for i in range(250_000)]))],
        "beyond|columns|merge",
    ),
    "unequal merge groups": (
        [edit(lambda d: d["joint"].update(merge=[list(range(10**5)), *([10**5 + i] for i in range(10**5))]))],
        "unequal|groups",
    ),
    "thousands of unbinds": ([edit(unbinds)], "calls"),
    "thousands of slow nodes": ([edit(slow_nodes)], "calls|work"),
    "a sparse file of 32 GiB": ([sparse], "belong to no tensor"),
    "a header of lists": ([long_header], "header"),
    "a tensor without columns": ([edit(no_columns), weights(empty_tensor)], "empty tensor"),
    "a checkpoint under another name": ([checkpoint], "header"),
    "tensors that share bytes": ([weights(shared_bytes)], "do not follow"),
    "bytes of no tensor": ([weights(lambda h, d: (h, d + bytes(2**20)))], "belong to no tensor"),
    "offsets that are lists": (
        [weights(lambda h, d: (h | {"head.bias": h["head.bias"] | {"data_offsets": [[], {}]}}, d))],
        "wrongly",
    ),
}
_ASSEMBLED = ("250,000 merge groups", "unequal merge groups")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    place = tmp_path_factory.mktemp("files")
    folders = [save(tiny(), place / "honest")]
    for i, (name, (changes, _)) in enumerate(ATTACKS.items()):
        brick = tiny()
        pair = Assembled([brick, tiny()], Joint(merge=[[0, 2], [1, 3]]), assembled_info([brick], ("a", "b")))
        folders.append((pair if name in _ASSEMBLED else brick).save(place / str(i)))
        for change in changes:
            change(folders[-1])
    return open_boxed(folders)


def test_the_brick_that_is_attacked_runs(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["honest"].verdict == "ran"


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(outcomes: dict[str, Outcome], name: str) -> None:
    outcomes[str(list(ATTACKS).index(name))].check_refused(ATTACKS[name][1])


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_little(outcomes: dict[str, Outcome], name: str) -> None:
    outcomes[str(list(ATTACKS).index(name))].check_cheap(4)  # 2 s on a machine of one's own


def test_a_byte_that_is_no_bool_is_read_as_true(tmp_path: Path) -> None:
    brick = tiny()
    brick.network.register_buffer("mask", torch.tensor([True, False]))
    head = next(n for n in brick.network.graph.nodes if n.op == "call_module")
    with brick.network.graph.inserting_before(head.next):
        mask = brick.network.graph.get_attr("mask")
        kept = brick.network.graph.call_function(torch.ops.aten.mul.Tensor, (head, mask))
    head.replace_all_uses_with(kept, delete_user_cb=lambda user: user is not kept)
    brick.network.recompile()
    folder = brick.save(tmp_path / "brick")
    raw = (folder / "model.safetensors").read_bytes()
    assert raw[-2:] == b"\x01\x00" or b"\x01\x00" in raw[-40:]
    at = len(raw) - 40 + raw[-40:].index(b"\x01\x00")
    (folder / "model.safetensors").write_bytes(raw[:at] + b"\xff\x00" + raw[at + 2 :])
    mask_read = load(folder).get_buffer("network.mask")
    assert mask_read.view(torch.uint8).tolist() == [1, 0]


def test_a_brick_replaced_while_it_is_read_is_one_or_the_other(tmp_path: Path) -> None:
    target = tiny(1.0, ("a", "b")).save(tmp_path / "brick")
    other = tiny(2.0, ("c", "d")).save(tmp_path / "other")
    names = ("brick.json", "model.safetensors", "README.md")
    contents = [{n: (folder / n).read_bytes() for n in names} for folder in (target, other)]
    stop = threading.Event()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            write_folder(target, contents[turn % 2], replace=True)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = set()
        for _ in range(150):
            brick = load(target)
            assert isinstance(brick, Brick)
            seen.add((brick.classes, brick.network.get_parameter("head.bias")[0].item()))
    finally:
        stop.set()
        writer.join()
    assert seen == {(("a", "b"), 1.0), (("c", "d"), 2.0)}
