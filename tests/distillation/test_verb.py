"""Distillation: the loss against its formula, whom the teacher speaks for, and students of all kinds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modellego.brick import Brick
from modellego.data import Data, load_data
from modellego.distillation import (
    Distillation,
    distill,
    distillation_loss,
    student_from,
    teacher_accuracy,
    teachers_preprocess,
)
from modellego.distillation.student import restricted_to
from modellego.distillation.verb import teacher_columns
from modellego.errors import DataError, LegoError
from modellego.evaluation import logits_of
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick
from modellego.training import Augment, Settings

PREPROCESS = Preprocess(1, 8, 8)
QUICK = Settings(epochs=2, lr=0.05, batch_size=64, augment=Augment(False, 0), device="cpu")


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


def linear(names: list[str], seed: int = 0) -> Brick:
    torch.manual_seed(seed)
    return whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, len(names))), PREPROCESS, names, "linear")


@settings(deadline=None)
@given(st.floats(0.5, 20), st.floats(0, 1), st.integers(0, 10_000))
def test_the_loss_is_hintons(temperature: float, share: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, 5, 4, generator=g, dtype=torch.float64) * 3
    labels = torch.randint(0, 4, (5,), generator=g)
    p, q = (teacher / temperature).softmax(1), (student / temperature).softmax(1)
    kl = (p * (p / q).log()).sum(1).mean()
    ce = -student.softmax(1)[torch.arange(5), labels].log().mean()
    wanted = share * temperature**2 * kl + (1 - share) * ce
    got = distillation_loss(student, teacher, labels, Distillation(temperature, share))
    torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-9)


def test_at_high_temperature_the_gradient_is_that_of_matching_logits() -> None:
    """Hinton et al., equation 4: for large T the gradient of T^2 KL tends to (z - v) / N for centred logits."""
    z = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    v = torch.randn(1, 4, dtype=torch.float64)
    loss = distillation_loss(z, v, torch.tensor([0]), Distillation(1e4, 1.0))
    (gradient,) = torch.autograd.grad(loss, z)
    centred = (z - z.mean()) - (v - v.mean())
    torch.testing.assert_close(gradient, centred.detach() / 4, rtol=1e-3, atol=1e-5)


def test_the_teacher_speaks_for_the_students_classes() -> None:
    teacher, student = linear(["0", "1", "2", "3"]), linear(["3", "1"])
    assert teacher_columns(teacher, student).tolist() == [3, 1]


def test_a_class_the_teacher_lacks_is_refused(digits: Data) -> None:
    with pytest.raises(DataError, match="'9'"):
        distill(linear(["0", "1"]), linear(["1", "9"]), digits, settings=QUICK)


def test_a_student_becomes_like_its_teacher(digits: Data) -> None:
    names = [str(i) for i in range(4)]
    teacher = distill(linear(names), linear(names), digits, how=Distillation(share=0.0), settings=QUICK).student
    torch.manual_seed(1)
    start = linear(names, 1)
    done = distill(teacher, start, digits, how=Distillation(share=1.0), settings=replace(QUICK, epochs=6))
    images = digits.train.for_model(names)
    told = logits_of(teacher, images).softmax(1)
    gaps = [
        float(F.kl_div(logits_of(s, images).log_softmax(1), told, reduction="batchmean")) for s in (start, done.student)
    ]
    assert gaps[1] < 0.2 * gaps[0]


def test_without_a_share_the_teacher_is_not_asked(digits: Data) -> None:
    student = linear(["0", "1"])
    silent = [
        distill(linear(["0", "1"], s), student, digits, how=Distillation(share=0.0), settings=QUICK) for s in (5, 6)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*(d.student.state_dict().values() for d in silent), strict=True))


def test_teacher_and_student_stay_as_they_are(digits: Data) -> None:
    teacher, student = linear(["0", "1"]), linear(["0", "1"], 1)
    before = [v.clone() for m in (teacher, student) for v in m.state_dict().values()]
    distill(teacher, student, digits, settings=QUICK)
    assert all(
        torch.equal(a, b)
        for a, b in zip(before, [v for m in (teacher, student) for v in m.state_dict().values()], strict=True)
    )


def test_a_distilled_student_says_so_and_loads(digits: Data, tmp_path: Path) -> None:
    from modellego.brick import load

    student = student_from("zoo:lenet5", ["0", "1"], PREPROCESS, width=0.5)
    done = distill(linear(["0", "1"]), student, digits, settings=QUICK)
    again = load(done.student.save(tmp_path / "s.brick"))
    assert "Distilled from linear" in again.info.notes
    assert torch.equal(again(torch.ones(1, 1, 8, 8)), done.student(torch.ones(1, 1, 8, 8)))


def test_a_resumed_run_is_the_whole_run(digits: Data, tmp_path: Path) -> None:
    teacher, student = linear(["0", "1"]), linear(["0", "1"], 1)
    whole = distill(teacher, student, digits, settings=QUICK)

    def stop(point: object) -> None:
        if point.epoch == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(teacher, student, digits, settings=QUICK, checkpoint=tmp_path / "c", on_epoch=stop)
    again = distill(teacher, student, digits, settings=QUICK, checkpoint=tmp_path / "c", resume=True)
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.student.state_dict().values(), again.student.state_dict().values(), strict=True)
    )


def test_a_zoo_student_is_seeded() -> None:
    one, two, other = (
        student_from("zoo:resnet20", ["a", "b"], Preprocess(3, 32, 32), width=0.25, seed=s) for s in (1, 1, 2)
    )
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(one(image), two(image))
    assert not torch.equal(one(image), other(image))


def test_a_student_with_more_classes_is_restricted() -> None:
    whole = linear(["0", "1", "2"])
    part = restricted_to(whole, ["2", "0"])
    image = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(part(image), whole(image)[:, [2, 0]])


def test_an_unknown_zoo_student_is_refused() -> None:
    with pytest.raises(DataError, match="resnet20"):
        student_from("zoo:resnet2", ["a"], PREPROCESS)


def test_a_module_serves_as_student() -> None:
    student = student_from(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), ["a", "b"], PREPROCESS)
    assert student.classes == ("a", "b")


def test_the_teachers_preprocess_is_found() -> None:
    assert teachers_preprocess(linear(["a"])) == PREPROCESS


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"share": 1.5}])
def test_values_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LegoError):
        Distillation(**wrong)


def test_columns_are_integers() -> None:
    assert teacher_columns(linear(["a"]), linear(["a"])).dtype == np.int64


def test_the_teacher_is_scored_on_the_students_classes(digits: Data) -> None:
    assert digits.test is not None
    teacher, student = linear([str(k) for k in range(10)]), linear(["7", "2"])
    images = digits.test.for_model(student.classes)
    right = (logits_of(teacher, images)[:, [7, 2]].argmax(1).numpy() == images.labels).mean()
    assert teacher_accuracy(teacher, student, digits) == pytest.approx(right)
    assert teacher_accuracy(teacher, student, Data(digits.train)) is None
