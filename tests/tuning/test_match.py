"""Tuning: it brings a brick closer to its source, or leaves it as it was; without labels, and the same every time."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from modellego.brick import Brick
from modellego.data import load_data
from modellego.errors import DataError
from modellego.preprocess import Preprocess
from modellego.progress import Update
from modellego.sources.whole import whole_brick
from modellego.tuning import tune
from modellego.tuning.teacher import disagreement, logit_distance, task_logits

NAMES = [str(i) for i in range(4)]


def network(outputs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, outputs))


@pytest.fixture(scope="module")
def source() -> Brick:
    return whole_brick(network(10, 0), Preprocess(1, 8, 8, (0.3,), (0.4,)), [str(i) for i in range(10)])


@pytest.fixture(scope="module")
def near(source: Brick) -> Brick:
    """The source with the logits of four classes, all of its weights disturbed."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = network(4, 0)
        state = {k: v.clone() for k, v in zip(model.state_dict(), source.state_dict().values(), strict=True)}
        state["4.weight"], state["4.bias"] = state["4.weight"][2:6], state["4.bias"][2:6]
        model.load_state_dict(state)
        for weight in model.parameters():
            weight.data += 0.05 * torch.randn_like(weight)
    return whole_brick(model, Preprocess(1, 8, 8, (0.3,), (0.4,)), NAMES)


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    shown = load_data("digits").train.images()
    return shown[:300], shown[300:500]


TASK = range(2, 6)


def state_of(model: Brick) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(v, b[k]) for k, v in a.items())


def test_a_brick_comes_closer_to_its_source(source: Brick, near: Brick, images: tuple[Tensor, Tensor]) -> None:
    tuned, report = tune(near, source, TASK, *images, 160)
    wanted = task_logits(source, TASK, images[1])
    with torch.no_grad():
        before, after = (logit_distance(m(images[1]), wanted) for m in (near, tuned))
    assert after < 0.7 * before
    assert report.kept_steps > 0
    assert report.after.divergence < report.before.divergence
    assert report.after.same >= report.before.same


def test_source_and_brick_stay_as_they_are(source: Brick, near: Brick, images: tuple[Tensor, Tensor]) -> None:
    states = [state_of(source), state_of(near)]
    tune(near, source, TASK, *images, 16)
    assert equal(states[0], source.state_dict())
    assert equal(states[1], near.state_dict())


def test_a_brick_that_agrees_already_stays_as_it_is(source: Brick, images: tuple[Tensor, Tensor]) -> None:
    tuned, report = tune(source, source, range(10), *images, 16)
    assert report.kept_steps == 0
    assert report.before == report.after
    assert equal(source.state_dict(), tuned.state_dict())


def test_harm_on_held_out_images_is_not_accepted(source: Brick, near: Brick, images: tuple[Tensor, Tensor]) -> None:
    """Images that say nothing (black) pull the brick to the source on black, away from it elsewhere."""
    tuned, report = tune(near, source, TASK, torch.zeros(64, 1, 8, 8), images[1], 80)
    wanted = task_logits(source, TASK, images[1])
    with torch.no_grad():
        before, after = (disagreement(m(images[1]), wanted)[0].mean() for m in (near, tuned))
    assert report.kept_steps == 0 or after < before


def test_the_same_seed_gives_the_same_weights(source: Brick, near: Brick, images: tuple[Tensor, Tensor]) -> None:
    first, second = (tune(near, source, TASK, *images, 16, seed=3)[0] for _ in range(2))
    assert equal(first.state_dict(), second.state_dict())


def test_the_minutes_are_said_before(source: Brick, near: Brick, images: tuple[Tensor, Tensor]) -> None:
    said: list[str] = []
    steps: list[tuple[int, int]] = []

    @contextmanager
    def progress(title: str, unit: str) -> Iterator[Update]:
        said.append(f"{title} {unit}")
        yield lambda done, total: steps.append((done, total))

    tune(near, source, TASK, *images, 16, progress=progress)
    assert said == ["tune (about 1 min) steps"]
    assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
    assert steps[-1][0] == steps[-1][1]


@pytest.mark.parametrize(("count", "held", "steps"), [(1, 9, 5), (9, 1, 5), (9, 9, 0)])
def test_too_little_is_refused(source: Brick, near: Brick, count: int, held: int, steps: int) -> None:
    with pytest.raises(DataError, match="tun"):
        tune(near, source, TASK, torch.rand(count, 1, 8, 8), torch.rand(held, 1, 8, 8), steps)


def test_what_all_logits_have_in_common_is_no_distance() -> None:
    logits = torch.randn(5, 3)
    assert float(logit_distance(logits, logits + torch.randn(5, 1))) == pytest.approx(0, abs=1e-10)
    assert float(logit_distance(torch.zeros(1, 2), torch.tensor([[1.0, -1.0]]))) == 1


def test_the_task_s_logits_are_the_source_s(source: Brick, images: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        assert torch.allclose(task_logits(source, [7, 2], images[1]), source(images[1])[:, [7, 2]])
