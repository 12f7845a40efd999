"""Folders of images of unlike sizes through every verb: as if each image had been brought to the network's size alone.

The oracle is the same in most tests: each file is read and preprocessed alone, and the verb is run on the tensor of
these. What it makes of the folder must be the same.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import modellego as ml
from modellego.assembly import calibrate
from modellego.assembly.heads import Rows
from modellego.data.views import altered_views
from modellego.evaluation import logits_of
from modellego.preprocess import Frame
from modellego.reporting.collect import report_data
from modellego.sources.whole import whole_brick
from modellego.training import Augment

CLASSES = ("ant", "bee", "cow")
EACH, TESTED, ODD = 100, 90, 25  # training and test images per class; of these so many of odd sizes, the last ones
SIZE = (12, 12)
AnyBrick = ml.Brick | ml.Assembled


def sizes(count: int, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield heights and widths: most are the network's own, the last ones are not."""
    for number in range(count):
        yield SIZE if number < count - ODD else (int(random.integers(5, 40)), int(random.integers(5, 40)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of train and test images of three classes, told apart by colour, stripes of which differ by place."""
    top, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for part, each in (("train", EACH), ("test", TESTED)):
        for label, name in enumerate(CLASSES):
            (top / part / name).mkdir(parents=True)
            for number, (height, width) in enumerate(sizes(each, random)):
                pixels = random.integers(0, 160, (height, width, 3))
                pixels[:, width // 4 : width // 2, label] += 90
                grey = number % 9 == 0 and label == 2
                image = Image.fromarray(pixels.astype(np.uint8))
                (image.convert("L") if grey else image).save(top / part / name / f"{number:03}.png")
    return top


def small_net(classes: int, channels: int, seed: int) -> nn.Module:
    """Return a network at random whose classes are about equally likely, so that small changes show."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
    )
    head = nn.Linear(32, classes)
    with torch.no_grad():
        noise = torch.rand(200, channels, *SIZE) * torch.rand(200, channels, 1, 1) * 3 - 1.3
        head.bias.copy_(-head.weight @ body(noise).mean(0))
    return nn.Sequential(body, head).eval()


def brick(resize: str, classes: Sequence[str] = CLASSES, size: tuple[int, int] = SIZE, seed: int = 0) -> ml.Brick:
    preprocess = ml.Preprocess(3, *size, mean=(0.4,), std=(0.3,), resize=resize)
    return whole_brick(small_net(len(classes), 3, seed), preprocess, classes, "small")


def alone(images: ml.ImageSet, frame: Frame) -> Tensor:
    """Bring each image to a frame by itself."""
    return torch.cat([frame(images.images([index])) for index in range(len(images))])


def reference(data: ml.Data, frame: Frame) -> ml.Data:
    """Return the same data, each image brought to the frame by itself beforehand."""
    assert data.test is not None
    sets = [ml.ImageSet.from_tensor(alone(part, frame), part.labels, part.classes) for part in (data.train, data.test)]
    return ml.Data(sets[0], sets[1])


@pytest.fixture(scope="module", params=["crop", "squash"])
def case(request: pytest.FixtureRequest, folder: Path) -> tuple[ml.Brick, ml.Data, ml.Data]:
    """A brick, the folder's data, and these brought to its frame one by one."""
    made = brick(request.param)
    data = ml.load_data(folder)
    return made, data, reference(data, made.frame)


def both(case: tuple[ml.Brick, ml.Data, ml.Data], verb: Callable[[ml.Brick, ml.Data], Any]) -> tuple[Any, Any]:
    """Run a verb on the folder's data and on the reference."""
    made, data, known = case
    return verb(copy.deepcopy(made), data), verb(copy.deepcopy(made), known)


def same_model(one: AnyBrick, two: AnyBrick) -> None:
    assert one.classes == two.classes
    assert one.state_dict().keys() == two.state_dict().keys()
    for key, tensor in one.state_dict().items():
        torch.testing.assert_close(
            tensor, two.state_dict()[key], rtol=1e-4, atol=1e-5, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_the_folder_is_what_the_tests_need(folder: Path) -> None:
    data = ml.load_data(folder)
    for part in (data.train, data.test):
        assert part is not None
        shapes = [part.read(index).shape[:2] for index in range(len(part))]
        assert len(shapes) > 250  # more than one batch
        assert set(shapes[:64]) == {SIZE}
        assert len(set(shapes)) > 40
        assert len({part.read(index).shape[2] for index in range(len(part))}) == 2


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("batch_size", [1, 64, 250])
def test_one_image_gives_the_same_probabilities_everywhere(folder: Path, resize: str, batch_size: int) -> None:
    one, other = brick(resize), brick("squash", ("dog", "emu"), (7, 16), 1)
    images = ml.load_data(folder).test
    assert images is not None
    for model in (one, ml.assemble([one, other])):
        among_others = logits_of(model, images, batch_size).softmax(1)
        assert len(among_others) == len(images)
        for index in [0, 63, 89, *range(len(images) - ODD, len(images))]:
            pixels = images.images([index])
            with torch.no_grad():
                by_itself = model(pixels).softmax(1)
                (repeated, _) = model(pixels.expand(2, -1, -1, -1)).softmax(1)
            (told,) = ml.predict(model, images.subset([index]), top=len(model.classes))
            by_name = torch.tensor([dict(zip(told.classes, told.probabilities, strict=True))[c] for c in model.classes])
            for found in (
                by_itself[0],
                repeated,
                by_name.float(),
                logits_of(model, images.subset([index])).softmax(1)[0],
            ):
                torch.testing.assert_close(found, among_others[index], rtol=0, atol=1e-5)


def test_members_of_an_assembled_model_each_see_the_image_in_their_own_way(folder: Path) -> None:
    members = [brick("crop"), brick("squash", ("dog", "emu"), (7, 16), 1), brick("squash", ("fox", "gnu"), SIZE, 2)]
    images = ml.load_data(folder).test
    assert images is not None
    with torch.no_grad():
        by_hand = torch.cat([m(alone(images, m.frame)) for m in members], 1)
        nested = ml.assemble([ml.assemble(members[:2]), members[2]])
    assert len(nested.frames) == 3
    torch.testing.assert_close(logits_of(nested, images), by_hand, rtol=0, atol=1e-5)


def test_disassemble_by_thresholds(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: ml.disassemble(b, data, "0,2", refit_images=60, reject=0.9))
    same_model(one, two)
    assert one.info.cut == two.info.cut
    assert one.info.refit["images"] == 120
    assert one.info.scores["brick_accuracy"] == two.info.scores["brick_accuracy"]
    assert one.info.reject.threshold == pytest.approx(two.info.reject.threshold, abs=1e-4)


@pytest.mark.parametrize("criterion", ["contribution", "reconstruction", "taylor"])
def test_disassemble_to_a_budget(case: tuple[ml.Brick, ml.Data, ml.Data], criterion: str) -> None:
    budget = ml.Budget(macs=0.5)
    one, two = both(case, lambda b, d: ml.disassemble(b, d, "0-1", budget=budget, criterion=criterion, refit_images=90))
    same_model(one, two)
    assert one.info.scores == two.info.scores


def test_disassemble_refits_on_files_of_any_size(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: ml.disassemble(b, data, "0-1", refit_data=data.train))
    same_model(one, two)
    assert one.info.refit["images"] == 3 * EACH


@pytest.mark.parametrize("options", [{"calibrate": "head"}, {"calibrate": "affine"}, {"calibrate": "prior"},
                                     {"scale": "layers"}, {"scale": "logits"}], ids=str)  # fmt: skip
def test_assemble(case: tuple[ml.Brick, ml.Data, ml.Data], options: dict[str, str]) -> None:
    def put_together(first: ml.Brick, data: ml.Data) -> AnyBrick:
        resize = first.frame.resize
        assert resize is not None
        parts = [brick(resize, CLASSES[:2], seed=3), brick(resize, CLASSES[2:], seed=4)]
        return ml.assemble(parts, data=data, per_class=None, reject=0.9, **options)  # type: ignore[arg-type]

    one, two = both(case, put_together)
    same_model(one, two)
    assert one.info.reject.threshold == pytest.approx(two.info.reject.threshold, abs=1e-4)


def test_a_heads_rows_are_the_members_own_images_and_views(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [brick("crop", CLASSES[:2], (10, 7), 3), brick("squash", CLASSES[2:], SIZE, 4)]
    seen: list[Rows] = []
    make = calibrate.make_rows
    monkeypatch.setattr(calibrate, "make_rows", lambda *a: seen.append(make(*a)) or seen[-1])  # type: ignore[func-returns-value]
    train = ml.load_data(folder).train
    ml.assemble(members, data=train, calibrate="affine", per_class=None, views=1)
    (rows,) = seen
    wanted = []
    for member in members:
        images = alone(train, member.frame)
        batches = enumerate(images.split(250))  # type: ignore[no-untyped-call]
        (views,) = zip(*(altered_views(batch, count=1, seed=number) for number, batch in batches), strict=True)
        with torch.no_grad():
            wanted.append([member(images), member(torch.cat(views))])
    for view in range(2):
        part = rows.where(rows.views == view)
        assert part.images.tolist() == list(range(len(train)))
        assert part.labels.tolist() == train.labels.tolist()
        torch.testing.assert_close(part.columns, torch.cat([own[view] for own in wanted], 1), rtol=0, atol=1e-4)


def test_evaluate(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: ml.evaluate(b, data, source=b, latency_batch=2, latency_runs=1))
    assert one.scores.images == 3 * TESTED
    assert one.scores.confusion.tolist() == two.scores.confusion.tolist()
    assert (one.base, one.base_restricted) == (two.base, two.base_restricted)


def test_evaluate_off_the_task(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    resize = case[0].frame.resize
    assert resize is not None
    one, two = both(case, lambda _, data: ml.evaluate(brick(resize, CLASSES[:2]), data))
    assert one.off_task.images == TESTED
    assert one.off_task.auroc == pytest.approx(two.off_task.auroc, abs=1e-6)


def test_predict(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: ml.predict(b, data.test))
    assert len(one) == 3 * TESTED
    for a, b in zip(one, two, strict=True):
        assert a.classes == b.classes
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)


def test_curve(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: ml.curve(b, data, "0-1", points=(0.5, 0.8), refit_images=20))
    assert [(p.macs, p.accuracy) for p in one] == [(p.macs, p.accuracy) for p in two]


def test_thresholds(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    vary = ("conv_beta",)
    one, two = both(case, lambda b, data: ml.thresholds(b, data, "0-1", vary=vary, values=(0.1, 0.5)))
    assert one.points == two.points


def test_routes(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    (one,), (two,) = both(case, lambda b, data: ml.routes(b, data, per_class=80))
    for a, b in zip(one.layers, two.layers, strict=True):
        np.testing.assert_allclose(a.contribution, b.contribution, atol=1e-5)


def test_heatmap(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: ml.heatmap(b, data, per_class=90))
    assert len(one.by_sample) == 270
    np.testing.assert_allclose(one.by_sample, two.by_sample, atol=1e-5)


def test_report(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: report_data(b, data, sources=[b], latency_runs=1))
    assert one.scores == two.scores
    assert one.confusion.tolist() == two.confusion.tolist()
    assert one.sizes[-1].latency_ms > 0


def test_ablation(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    def compare(first: ml.Brick, data: ml.Data) -> ml.Ablation:
        resize = first.frame.resize
        assert resize is not None
        parts = [brick(resize, CLASSES[:2], seed=3), brick(resize, CLASSES[2:], seed=4)]
        return ml.ablation(parts, data, per_class=None)

    one, two = both(case, compare)
    assert [(way.name, way.accuracy) for way in one.ways] == [(way.name, way.accuracy) for way in two.ways]
    assert one.images == 3 * TESTED


SETTINGS = ml.Settings(epochs=1, lr=0.01, keep="last", batch_size=32, augment=Augment(shift=2))


def test_finetune(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    one, two = both(case, lambda b, data: ml.finetune(b, data, settings=SETTINGS))
    same_model(one.model, two.model)
    assert one.train_images + one.held_out_images == 3 * EACH


def test_distill(case: tuple[ml.Brick, ml.Data, ml.Data]) -> None:
    def teach(student: ml.Brick, data: ml.Data) -> AnyBrick:
        resize = student.frame.resize
        assert resize is not None
        return ml.distill(brick(resize, seed=5), student, data, settings=SETTINGS).student

    same_model(*both(case, teach))
