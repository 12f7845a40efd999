"""One brick, whatever the batches, the threads and the folder: the same channels, weights and errors to 1e-5."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from modellego.assembly import assemble
from modellego.brick import Assembled, Brick
from modellego.data import Data
from modellego.disassembly import disassemble
from modellego.disassembly.sampling import Samples
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.refit import RefitOptions
from modellego.sources.whole import whole_brick
from tests.digits import few_digits

WAYS = {"by thresholds": None, "by reconstruction": Budget(macs=0.5)}


@pytest.fixture(scope="module")
def digits() -> Data:
    return few_digits(40, 60)


@pytest.fixture(scope="module")
def whole() -> Brick:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(1024, 24), nn.ReLU(), nn.Linear(24, 10)),
    )
    return whole_brick(net.eval(), Preprocess(1, 8, 8), [str(digit) for digit in range(10)], "small")


def cut(whole: Brick, data: Data, classes: str, budget: Budget | None, batch: int = 100) -> Brick:
    """Disassemble on so few positions an image that they have to be drawn."""
    options = RefitOptions(batch=batch, rows=800)
    samples = Samples(20, cache=False)
    return disassemble(whole, data, classes, budget=budget, samples=samples, refit_images=30, refit_options=options)


def numbers(model: Brick | Assembled) -> dict[str, Tensor]:
    """Return a model's parameters, and the errors that it records of its refit."""
    stages = (model.info.refit or {}).get("stages", [])
    errors = [stage[when] for stage in stages for when in ("before", "after")]
    return dict(model.state_dict()) | {"errors": torch.tensor(errors, dtype=torch.float64)}


def same(one: Brick | Assembled, other: Brick | Assembled) -> None:
    """Assert the same channels, and numbers equal to 1e-5 of the largest."""
    ours, theirs = numbers(one), numbers(other)
    assert {name: tensor.shape for name, tensor in ours.items()} == {name: t.shape for name, t in theirs.items()}
    for name, tensor in ours.items():
        scale = float(tensor.abs().max().clamp(min=1)) if tensor.numel() else 1.0
        assert torch.allclose(tensor / scale, theirs[name] / scale, atol=1e-5, rtol=0), name


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("way", WAYS)
def test_the_size_of_batches_does_not_matter(whole: Brick, digits: Data, way: str) -> None:
    first = cut(whole, digits, "1-3", WAYS[way])
    for batch in (7, 32, 64):
        same(first, cut(whole, digits, "1-3", WAYS[way], batch))


@pytest.mark.parametrize("way", WAYS)
def test_the_number_of_threads_does_not_matter(whole: Brick, digits: Data, way: str) -> None:
    first = cut(whole, digits, "1-3", WAYS[way])
    with threads(2):
        same(first, cut(whole, digits, "1-3", WAYS[way]))


@pytest.mark.parametrize("calibrate", ["head", "affine", "prior"])
def test_heads_do_not_depend_on_threads(whole: Brick, digits: Data, calibrate: str) -> None:
    bricks = [cut(whole, digits, classes, None) for classes in ("0-2", "3-5")]
    made = []
    for count in (1, 2):
        with threads(count):
            made.append(
                assemble(bricks, data=digits, calibrate=calibrate, per_class=20, reject=0.9, names=["a", "b"])  # type: ignore[arg-type]
            )
    same(*made)
    one, two = (model.info.reject for model in made)
    assert one is not None
    assert two is not None
    assert one.threshold == pytest.approx(two.threshold, abs=1e-5, rel=1e-5)


def test_the_same_call_writes_the_same_bytes_in_any_folder(
    whole: Brick, digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for folder in (tmp_path / "one", tmp_path / "another"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        bricks = [cut(whole, digits, classes, WAYS["by reconstruction"]) for classes in ("0-2", "3-5")]
        bricks[0].save("brick")
        assemble(bricks, data=digits, calibrate="head", per_class=20, names=["a", "b"]).save("both")
        written.append({p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()})
    assert written[0] == written[1]
    assert not any(str(tmp_path).encode() in content for content in written[0].values())


def test_a_brick_says_with_what_it_was_made(whole: Brick, digits: Data) -> None:
    first, second = (
        cut(whole, data, "0-2", None).info.made for data in (digits, Data(digits.train.subset(slice(1, None))))
    )
    assert first is not None
    assert second is not None
    assert {"modellego", "torch", "numpy", "python"} <= first.versions.keys()
    assert (first.threads, first.processes, first.seed) == (torch.get_num_threads(), 1, 0)
    assert first.options["refit_images"] == 30
    assert first.data is not None
    assert first.data != second.data


def test_groups_that_rounding_decides_are_told(digits: Data) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    net[0].weight.data[4:] = net[0].weight.data[:4]  # four channels twice, and each as much wanted as its double
    net[0].bias.data[4:] = net[0].bias.data[:4]
    net[3].weight.data[:, 144:] = net[3].weight.data[:, :144]
    twins = whole_brick(net, Preprocess(1, 8, 8), [str(digit) for digit in range(10)])
    how = {"refit_images": 0, "samples": Samples(20, cache=False)}
    even = disassemble(twins, digits, "0-2", budget=Budget(parameters=0.24), criterion="l1", **how)
    odd = disassemble(twins, digits, "0-2", budget=Budget(parameters=0.21), criterion="l1", **how)
    assert even.info.cut is not None
    assert odd.info.cut is not None
    assert even.info.cut.kept - odd.info.cut.kept == 1
    assert "less than rounding: 1." in odd.info.notes
    assert "rounding" not in even.info.notes
