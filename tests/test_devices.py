"""Passes on a device: refused where it is not there, and the same bricks where it is."""

from typing import Any

import pytest
import torch
from torch import fx, nn
from typer.testing import CliRunner

from modellego.brick import Brick
from modellego.cli.app import app
from modellego.data import Data, load_data
from modellego.devices import find_device, known_devices, moved, place
from modellego.disassembly import disassemble
from modellego.disassembly.each import disassemble_each
from modellego.disassembly.sampling import Samples
from modellego.errors import LegoError
from modellego.evaluation import evaluate, predict
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

from .pretended import pretended

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
HALF = Budget(macs=0.5)
WAYS: dict[str, dict[str, Any]] = {
    "thresholds": {},
    "reconstruction, a reject rule": {"budget": HALF, "reject": 0.9},
    "measured": {"budget": Budget(max_drop=0.3), "refit_images": 20},
    "tuned": {"budget": HALF, "tune": 12, "refit_images": 20},
    "joined": {"budget": HALF, "classes": "low=0-2,high=7-9"},
    "contribution": {"budget": HALF, "criterion": "contribution", "refit_images": 0},
    "taylor": {"budget": HALF, "criterion": "taylor", "refit_images": 0},
    "activation": {"budget": HALF, "criterion": "activation", "refit_images": 0},
    "l1": {"budget": HALF, "criterion": "l1", "refit_images": 0},
    "hrank": {"budget": HALF, "criterion": "hrank", "refit_images": 0},
}


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


@pytest.fixture
def whole(digits: Data) -> Brick:
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 16, 3), nn.ReLU()]
    net = nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10)).eval()
    return whole_brick(net, Preprocess(1, 8, 8, (0.5,), (0.5,)), digits.classes)


def cut(whole: Brick, digits: Data, device: str, classes: str = "0-2", **asked: Any) -> Brick:
    return disassemble(whole, digits, classes, samples=Samples(cache=False), device=device, **asked)


def same(one: Brick, other: Brick) -> bool:
    """Whether two bricks keep the same channels, and weights agree but for how kernels round."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return one.info.cut == other.info.cut and all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in pairs)


def test_a_device_that_is_not_here_is_refused_with_those_that_are() -> None:
    with pytest.raises(LegoError, match="no device 'cuda:99' here: there is cpu"):
        find_device("cuda:99")


def test_an_unknown_device_is_refused_before_any_work(whole: Brick) -> None:
    with pytest.raises(LegoError, match="no device 'tpu'"):
        disassemble(whole, "a folder that is not there", "0-2", device="tpu")


@pytest.mark.parametrize("command", [["disassemble", "a.brick", "-o", "b.brick"], ["evaluate", "a.brick"]])
def test_commands_refuse_it_before_they_look_for_the_model(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "--data", "digits", "--device", "cuda:99"])
    assert isinstance(done.exception, LegoError)
    assert "there is no device 'cuda:99'" in str(done.exception)


def test_the_cpu_is_always_there() -> None:
    assert "cpu" in known_devices()


def test_a_module_is_put_back_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Linear(3, 2)
    with pretended(monkeypatch) as gpu:
        with pytest.raises(RuntimeError, match="same device"), moved("cuda:0", net):
            net(torch.ones(1, 3))
        assert not gpu.on_gpu(net.weight)


def test_devices_that_a_graph_names_move_with_it() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(torch.zeros_like, (x,), {"device": torch.device("cpu")}))
    net = fx.GraphModule(nn.Module(), graph)
    place(net, torch.device("meta"))
    assert net(torch.ones(2)).device.type == "meta"


def test_the_pretended_gpu_refuses_what_a_gpu_would(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(monkeypatch):
        there = torch.ones(2).to("cuda:0")
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(2)
        with pytest.raises(TypeError, match="numpy"):
            (there * 2).numpy()


@pytest.mark.parametrize("asked", WAYS.values(), ids=WAYS)
def test_a_brick_cut_on_a_device_is_that_of_the_cpu(
    whole: Brick, digits: Data, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cpu = cut(whole, digits, "auto", **asked)
    with pretended(monkeypatch) as gpu:
        there = cut(whole, digits, "cuda:0", **asked)
        assert gpu.moved
        tensors = [*whole.parameters(), *whole.buffers(), *there.parameters(), *there.buffers()]
        assert not any(map(gpu.on_gpu, tensors))
    assert same(on_cpu, there)
    assert there.info.made is not None
    assert there.info.made.options["device"] == "cuda"


def test_a_brick_for_each_class_is_cut_there_too(whole: Brick, digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = Samples(cache=False)
    on_cpu = list(disassemble_each(whole, digits, "0-1", samples=samples))
    with pretended(monkeypatch) as gpu:
        there = list(disassemble_each(whole, digits, "0-1", samples=samples, device="cuda:0"))
        assert gpu.moved
    assert all(map(same, on_cpu, there))


def test_scores_on_a_device_are_those_of_the_cpu(whole: Brick, digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    brick = cut(whole, digits, "auto", reject=0.9)
    on_cpu = evaluate(brick, digits, source=whole)
    with pretended(monkeypatch) as gpu:
        there = evaluate(brick, digits, source=whole, latency_batch=2, latency_runs=1, device="cuda:0")
        assert gpu.moved
    assert there.as_json() | {"latency": None} == on_cpu.as_json()


def test_predictions_on_a_device_are_those_of_the_cpu(whole: Brick, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(3, 1, 8, 8)
    on_cpu = predict(whole, images)
    with pretended(monkeypatch) as gpu:
        there = predict(whole, images, device="cuda:0")
        assert gpu.moved
    assert [found.label for found in there] == [found.label for found in on_cpu]


@needs_gpu
@pytest.mark.parametrize("asked", [{}, {"budget": HALF}], ids=["thresholds", "reconstruction"])
def test_a_gpu_keeps_what_the_cpu_keeps(whole: Brick, digits: Data, asked: dict[str, Any]) -> None:
    bricks = [cut(whole, digits, device, **asked) for device in ("cpu", "cuda")]
    masks = [[tuple(tensor.shape) for tensor in brick.state_dict().values()] for brick in bricks]
    assert masks[0] == masks[1]


@needs_gpu
def test_a_gpu_scores_as_the_cpu_does(whole: Brick, digits: Data) -> None:
    scores = [evaluate(whole, digits, device=device).scores.accuracy for device in ("cpu", "cuda")]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
