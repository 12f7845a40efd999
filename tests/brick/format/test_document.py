"""Wrong and malicious documents: each is refused in one sentence, and none of them runs or costs anything."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modellego.brick import Assembled, Brick, save

MakeBrick = Callable[..., Brick]
Document = dict[str, Any]
Refusal = Callable[[Path], str]
X = {"node": "x"}


def edit(folder: Path, change: Callable[[Document], Any]) -> None:
    path = folder / "brick.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def node(document: Document, name: str) -> Document:
    found: Document = next(n for n in document["network"]["nodes"] if n["name"] == name)
    return found


def gain(document: Document) -> Document:
    found: Document = document["network"]["tensors"]["gain"]
    return found


def insert(*nodes: Document) -> Callable[[Document], None]:
    """Put nodes right behind the placeholder."""

    def change(document: Document) -> None:
        document["network"]["nodes"][1:1] = nodes

    return change


def call(target: str, *args: Any, name: str = "evil", **kwargs: Any) -> Document:
    return {"name": name, "op": "call_function", "target": target, "args": list(args), "kwargs": kwargs}


def read(target: str) -> Document:
    return {"name": "evil", "op": "get_attr", "target": target, "args": [], "kwargs": {}}


def run(target: str) -> Document:
    return {"name": "evil", "op": "call_module", "target": target, "args": [X], "kwargs": {}}


def layer(document: Document, path: str) -> Document:
    found: Document = document["network"]["layers"][path]
    return found


def also(path: str) -> Callable[[Document], None]:
    """Call dropout under another path, which needs no weights."""

    def change(document: Document) -> None:
        document["network"]["layers"][path] = layer(document, "drop")
        document["network"]["nodes"].insert(1, run(path))

    return change


def alias_of_nothing(document: Document) -> None:
    document["network"]["aliases"]["twin"] = "ghost"
    document["network"]["nodes"].insert(1, run("twin"))


SIZE = call("aten.sym_size.int", X, 2, name="size")


def has_layer(path: str) -> Callable[[Document], None]:
    """Describe the stem again under another path."""
    return lambda d: d["network"]["layers"].update({path: layer(d, "stem")})


DOCUMENTS: dict[str, tuple[Callable[[Document], Any], str]] = {
    # the envelope
    "no version": (lambda d: d.pop("format_version"), "not a brick"),
    "version of another type": (lambda d: d.update(format_version="1"), "not a brick"),
    "version true": (lambda d: d.update(format_version=True), "not a brick"),
    "version zero": (lambda d: d.update(format_version=0), "not a brick"),
    "future version": (lambda d: d.update(format_version=5, novelty=1), "upgrade"),
    "unknown key": (lambda d: d.update(novelty=1), "novelty"),
    "unknown kind": (lambda d: d.update(kind="pickle"), "kind|brick"),
    "kind that does not fit": (lambda d: d.update(kind="assembled"), "brick.json"),
    "no network": (lambda d: d.pop("network"), "network"),
    "class twice": (lambda d: d.update(classes=["a", "a", "b"]), "twice"),
    "class too few": (lambda d: d.update(classes=["a", "b"]), "3 logits for 2 classes"),
    "number as class": (lambda d: d.update(classes=[0, 1, 2]), "classes"),
    "another input shape": (lambda d: d.update(input_shape=[4, 8, 8], preprocess=None), "does not run"),
    "too large an input": (lambda d: d.update(input_shape=[3, 65536, 65536], preprocess=None), "MiB per image"),
    "zero deviation": (lambda d: d["preprocess"].update(std=[0.0, 1.0, 1.0]), "std"),
    "unknown resize": (lambda d: d["preprocess"].update(resize="eval"), "resize"),
    # names
    "dunder node": (lambda d: node(d, "x").update(name="__class__", target="__class__"), "identifier"),
    "keyword node": (lambda d: node(d, "x").update(name="lambda"), "reserved"),
    "code in a node's name": (lambda d: node(d, "stem").update(name="a=__import__('os')"), "identifier"),
    "newline in a node's name": (lambda d: node(d, "stem").update(name="a\nimport os"), "identifier"),
    "builtin as a node's name": (insert(call("aten.relu.default", X, name="print")), "meaning of its own"),
    "code in a placeholder's target": (lambda d: node(d, "x").update(target="x=print(1)"), "placeholder's target"),
    "star in a placeholder's target": (lambda d: node(d, "x").update(target="*x"), "placeholder's target"),
    "code in a keyword": (insert(call("aten.relu.default", X, **{"a=1) or print(": 1})), "identifier"),
    "two nodes of one name": (insert(call("aten.relu.default", X, name="stem")), "two nodes"),
    "traversal in a layer's path": (has_layer("../../evil"), "module path"),
    "quote in a layer's path": (has_layer('a"),print("'), "module path"),
    "dunder layer": (has_layer("__class__"), "module path"),
    "layer named forward": (has_layer("forward"), "attribute"),
    "layer named _modules": (has_layer("_modules"), "attribute"),
    "layer inside a layer": (also("stem.inner"), "lies inside"),
    "layer over a container": (also("block"), "two things|lies inside"),
    "empty part": (has_layer("a..b"), "module path"),
    # targets
    "op that is not listed": (insert(call("os.system", "true")), "closed list"),
    "op by another spelling": (insert(call("torch.ops.aten.relu", X)), "closed list"),
    "builtin as op": (insert(call("builtins.eval", "1")), "closed list"),
    "unlisted overload": (insert(call("aten.from_file.default", "/etc/passwd")), "closed list"),
    "method call": (lambda d: node(d, "stem").update(op="call_method", target="stem"), "placeholder"),
    "layer that is not there": (insert(run("nowhere")), "not there"),
    "layer by a container": (insert(run("block")), "not there"),
    "part of a layer": (insert(run("stem.weight")), "not there"),
    "attribute as tensor": (insert(read("__class__")), "not there"),
    "layer's attribute as tensor": (insert(read("stem.__class__")), "not there"),
    "layer's option as tensor": (insert(read("stem.in_channels")), "not there"),
    "tensor that is not there": (insert(read("nothing")), "not there"),
    # references and order
    "dangling reference": (insert(call("aten.relu.default", {"node": "ghost"})), "not an earlier node"),
    "cycle": (insert(call("aten.relu.default", {"node": "evil"})), "not an earlier node"),
    "later node": (insert(call("aten.relu.default", {"node": "head"})), "not an earlier node"),
    "no output": (lambda d: d["network"]["nodes"].pop(), "must end"),
    "two outputs": (insert({"name": "o", "op": "output", "target": "output", "args": [X], "kwargs": {}}), "must end"),
    "two inputs": (insert({"name": "y", "op": "placeholder", "target": "y", "args": [], "kwargs": {}}), "must begin"),
    "no input": (lambda d: d["network"]["nodes"].pop(0), "must begin"),
    "placeholder with default": (lambda d: node(d, "x").update(args=[1]), "no arguments"),
    "output of a list": (lambda d: node(d, "output").update(args=[[{"node": "head"}]]), "takes one node"),
    "output of the image": (lambda d: node(d, "output").update(args=[X]), r"\[1, columns\]"),
    "layer called with a number": (lambda d: node(d, "stem").update(args=[1]), "takes one node"),
    "layer called with options": (lambda d: node(d, "stem").update(kwargs={"input": X}), "takes one node"),
    "unused layer": (has_layer("spare"), "no node uses"),
    "no nodes": (lambda d: d["network"].update(nodes=[]), "nodes"),
    # arguments of nodes
    "unknown kind of value": (insert(call("aten.relu.default", {"eval": "1"})), "no value"),
    "value with two keys": (insert(call("aten.relu.default", {"node": "x", "tuple": []})), "no value"),
    "number beyond 64 bits": (insert(call("aten.add.Tensor", X, 2**64)), "less than"),
    "text for a tensor": (insert(call("aten.relu.default", "x")), "does not run"),
    "missing argument": (insert(call("aten.mean.dim")), "does not run"),
    "axis that is not there": (insert(call("aten.mean.dim", X, [9])), "does not run"),
    # what would eat memory or time
    "repeated list": (insert(SIZE, call("operator.mul", [0], {"node": "size"})), "numbers or tensors"),
    "repeated text": (insert(SIZE, call("operator.mul", "a", {"node": "size"})), "numbers or tensors"),
    "huge power": (insert(SIZE, call("operator.pow", {"node": "size"}, 2**60)), "exponents"),
    "huge product": (insert(SIZE, call("operator.mul", {"node": "size"}, 2**62)), "64 bits"),
    "huge constant": (insert(call("aten.zeros.default", [2**20, 2**20])), "MiB per image"),
    "huge repetition": (insert(call("aten.repeat.default", X, [2**12, 1, 1, 2**12])), "MiB per image"),
    "a million pieces": (
        insert(call("aten.zeros.default", [2**27], name="z"), call("aten.split.Tensor", {"node": "z"}, 1)), "apart",
    ),
    "size that depends on data": (insert(call("aten.nonzero.default", X)), "does not run"),
    # layers
    "unlisted layer": (lambda d: layer(d, "stem").update(type="Module"), "closed list"),
    "layer with a forged argument": (lambda d: layer(d, "stem")["arguments"].update(device="cuda"), "exactly"),
    "layer of absurd size": (lambda d: layer(d, "stem")["arguments"].update(out_channels=10**15), "whole number"),
    "layer larger than its weights": (lambda d: layer(d, "head")["arguments"].update(in_features=2**24), "shape"),
    "layer of another dtype": (lambda d: layer(d, "stem").update(dtype="float64"), "dtype|float64"),
    "layer without dtype": (lambda d: layer(d, "stem").update(dtype=None), "dtype"),
    "layer with zero channels": (lambda d: layer(d, "stem")["arguments"].update(out_channels=0), "whole number"),
    "padding by a word": (lambda d: layer(d, "stem")["arguments"].update(padding="evil"), "padding"),
    "groups that do not divide": (lambda d: layer(d, "stem")["arguments"].update(groups=5), "cannot be built"),
    "layer with a bias too many": (lambda d: layer(d, "stem")["arguments"].update(bias=True), "stem.bias"),
    # tensors, aliases, ties
    "bare tensor of another shape": (lambda d: gain(d).update(shape=[7, 1, 1]), "shape"),
    "bare tensor of absurd shape": (lambda d: gain(d).update(shape=[2**40] * 16), "gain has shape"),
    "bare tensor too many dimensions": (lambda d: gain(d).update(shape=[1] * 17), "16"),
    "bare tensor of another dtype": (lambda d: gain(d).update(dtype="float16"), "float16"),
    "bare tensor of negative shape": (lambda d: gain(d).update(shape=[-6, 1, 1]), "shape"),
    "parameter of whole numbers": (lambda d: gain(d).update(dtype="int8"), "cannot be trained"),
    "alias of nothing": (alias_of_nothing, "ghost"),
    "unused alias": (lambda d: d["network"]["aliases"].update(twin="stem"), "no node uses"),
    "tie to nothing": (lambda d: d["ties"].update({"gain": "ghost"}), "tie"),
    "tie from nothing": (lambda d: d["ties"].update({"ghost": "gain"}), "tie"),
    "tie in a circle": (lambda d: d["ties"].update({"gain": "gain"}), "tie"),
    "tie of unlike tensors": (lambda d: d["ties"].update({"gain": "head.bias"}), "differ"),
    "tie of parameter and buffer": (lambda d: d["ties"].update({"gain": "offset"}), "differ"),
    "tied tensor in the file": (lambda d: d["ties"].update({"norm.bias": "norm.weight"}), "which no layer has"),
}  # fmt: skip


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_wrong_document_is_refusal(folder: Path, refusal: Refusal, case: str) -> None:
    change, complaint = DOCUMENTS[case]
    edit(folder, change)
    text = refusal(folder)
    with pytest.raises(AssertionError, match=complaint):
        raise AssertionError(text)


NESTED: dict[str, tuple[Callable[[Document], Any], str]] = {
    "ties inside": (lambda d: d["bricks"][1]["ties"].update({"norm.bias": "norm.weight"}), "outermost"),
    "joint of another width": (lambda d: d["joint"]["linear"].update(in_features=9), "shape"),
    "merge twice": (lambda d: d["bricks"][0]["joint"].update(merge=[[0], [0, 1], [2]]), "once"),
    "merge beyond": (lambda d: d["bricks"][0]["joint"].update(merge=[[0], [1, 2], [9]]), "beyond"),
    "merge of nothing": (lambda d: d["bricks"][0]["joint"].update(merge=[[0], [], [1]]), "empty"),
    "merge of a negative column": (
        lambda d: d["bricks"][0]["joint"].update(merge=[[0], [1, 2], [-1]]),
        "merge",
    ),
    "merge dropped": (lambda d: d["bricks"][0]["joint"].update(merge=None), "4 logits for 3 classes"),
    "no bricks": (lambda d: d.update(bricks=[]), "bricks"),
    "input shape of its own": (lambda d: d.update(input_shape=[3, 8, 8]), "its bricks have theirs"),
    "broken inside": (lambda d: d["bricks"][1]["network"]["nodes"].pop(), "bricks.1"),
    "future version inside": (lambda d: d["bricks"][1].update(format_version=5), "format_version"),
    "scale of another length": (lambda d: d["bricks"][0]["joint"]["scale"].update(length=2**24), "scale"),
}


@pytest.mark.parametrize("case", NESTED)
def test_a_wrong_nested_document_is_refusal(nested_folder: Path, refusal: Refusal, case: str) -> None:
    change, complaint = NESTED[case]
    edit(nested_folder, change)
    text = refusal(nested_folder)
    with pytest.raises(AssertionError, match=complaint):
        raise AssertionError(text)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b"1", b'"brick"', b"\xff\xfe{}", b"\x80\x04.", b"{" * 100_000, b"[" * 100_000,
        b'{"a":' * 5000, b'{"format_version":1e999}', b'{"format_version":' + b"9" * 5000 + b"}",
        b'{"format_version":1,"format_version":2}', b'{"format_version":NaN}', b'{"format_version":1}',
    ],
    ids=lambda t: repr(t[:24]),
)  # fmt: skip
def test_text_that_is_no_document_is_refusal(folder: Path, refusal: Refusal, text: bytes) -> None:
    (folder / "brick.json").write_bytes(text)
    refusal(folder)


def test_bricks_in_bricks_without_end_are_refusal(nested_folder: Path, refusal: Refusal) -> None:
    def deepen(document: Document) -> None:
        for _ in range(60):
            document["bricks"] = [dict(document)]

    edit(nested_folder, deepen)
    assert "deep" in refusal(nested_folder)


@pytest.fixture
def nested_folder(nested: Assembled, tmp_path: Path) -> Path:
    return save(nested, tmp_path / "nested")


def test_the_code_of_a_loaded_graph_holds_names_and_numbers_only(folder: Path, refusal: Refusal) -> None:
    edit(folder, insert(call("aten.div.Tensor_mode", X, 2.0, rounding_mode="floor")))
    edit(folder, lambda d: node(d, "evil")["kwargs"].update(rounding_mode="floor'); print('"))
    assert "does not run" in refusal(folder)
