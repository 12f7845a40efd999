"""Fine-tuning: it learns, leaves the model alone, resumes bit for bit, and keeps zeros where it must."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from modellego.brick import Assembled, Brick, BrickInfo, Joint, Origin, assembled_info
from modellego.brick.reject_rule import Reject
from modellego.capture import capture
from modellego.data import Data, ImageSet, load_data
from modellego.errors import DataError, FormatError, LegoError
from modellego.finetuning import finetune
from modellego.finetuning.candidates import candidates
from modellego.preprocess import Preprocess
from modellego.progress import Update, silent
from modellego.sources.whole import whole_brick
from modellego.training import Augment, Epoch, Settings
from modellego.training.masks import cross_masks

QUICK = Settings(epochs=3, lr=0.05, batch_size=64, augment=Augment(flip=False, shift=1), device="cpu")


class Stop(Exception):
    """Ends a run from within."""


def small(classes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(216, classes)]
    return nn.Sequential(*layers)


def brick_of(names: list[str], seed: int = 0) -> Brick:
    return whole_brick(small(len(names), seed), Preprocess(1, 8, 8, (0.3,), (0.4,)), names)


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


@pytest.fixture
def leaf() -> Brick:
    return brick_of(["0", "1", "2"])


@pytest.fixture
def parallel() -> Assembled:
    bricks = [brick_of(["0", "1", "2"]), brick_of(["3", "4"], 1)]
    joint = Joint(scale=torch.ones(5), shift=torch.zeros(5))
    return Assembled(bricks, joint, assembled_info(bricks, ["0", "1", "2", "3", "4"]))


@pytest.fixture
def padded() -> Brick:
    """Two one-layer bricks side by side in one network: a block-diagonal head behind a shared input."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(2), nn.AdaptiveAvgPool1d(1))
    model = nn.Sequential(net, nn.Flatten(), nn.Linear(4, 4))
    with torch.no_grad():
        model[2].weight[:2, 2:] = 0
        model[2].weight[2:, :2] = 0
    info = BrickInfo(
        classes=("0", "1", "2", "3"),
        input_shape=(1, 8, 8),
        preprocess=Preprocess(1, 8, 8),
        sources=(Origin(name="a", classes=("0", "1"), of=(0, 1)), Origin(name="b", classes=("2", "3"), of=(0, 1))),
    )
    return Brick(capture(model, (1, 8, 8)).graph, info)


def same(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return list(left) == list(right) and all(torch.equal(left[k], right[k]) for k in left)


def test_a_leaf_learns(leaf: Brick, digits: Data) -> None:
    done = finetune(leaf, digits, settings=QUICK)
    assert (done.curve[-1].accuracy or 0) > 0.9
    assert (done.curve[0].accuracy or 0) < 0.7


def test_a_parallel_model_learns(parallel: Assembled, digits: Data) -> None:
    done = finetune(parallel, digits, settings=QUICK)
    assert (done.curve[-1].accuracy or 0) > 0.9
    assert not torch.equal(done.model.joint.scale, parallel.joint.scale)  # type: ignore[union-attr, arg-type]


def test_the_model_given_stays_as_it_is(leaf: Brick, digits: Data) -> None:
    before = {k: v.clone() for k, v in leaf.state_dict().items()}
    finetune(leaf, digits, settings=QUICK)
    assert all(torch.equal(before[k], v) for k, v in leaf.state_dict().items())


def test_the_same_seed_gives_the_same_weights(leaf: Brick, digits: Data) -> None:
    assert same(finetune(leaf, digits, settings=QUICK).model, finetune(leaf, digits, settings=QUICK).model)


def test_what_no_longer_holds_is_taken_out(leaf: Brick, digits: Data) -> None:
    scores = {"brick_accuracy": 0.9, "base_accuracy": 0.8, "macs": 5.0}
    rule = Reject(threshold=0.5, statistic="max_probability")
    leaf.info = leaf.info.changed(scores=scores, reject=rule, notes="Small.")
    info = finetune(leaf, digits, settings=replace(QUICK, epochs=1)).model.info
    assert info.scores == {"brick_accuracy": None, "base_accuracy": 0.8, "macs": 5.0}
    assert info.reject is None
    assert info.notes.startswith("Small. Fine-tuned: 1 of 1 epochs")


@pytest.mark.parametrize("stop", [0, 1, 2])
@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(
    parallel: Assembled, digits: Data, tmp_path: Path, stop: int, keep: str
) -> None:
    settings = replace(QUICK, keep=keep)
    whole = finetune(parallel, digits, settings=settings)
    file = tmp_path / "run.pt"

    def interrupt(point: Epoch) -> None:
        if point.epoch == stop:
            raise Stop

    with pytest.raises(Stop):
        finetune(parallel, digits, settings=settings, checkpoint=file, on_epoch=interrupt)
    torch.rand(7)  # what others draw in between does not matter
    resumed = finetune(parallel, digits, settings=settings, checkpoint=file, resume=True)
    assert same(whole.model, resumed.model)
    assert whole.curve == resumed.curve
    assert whole.kept_epoch == resumed.kept_epoch


def test_a_finished_run_resumes_to_itself(leaf: Brick, digits: Data, tmp_path: Path) -> None:
    done = finetune(leaf, digits, settings=QUICK, checkpoint=tmp_path / "c")
    assert same(done.model, finetune(leaf, digits, settings=QUICK, checkpoint=tmp_path / "c", resume=True).model)


def test_nothing_is_left_beside_the_checkpoint(leaf: Brick, digits: Data, tmp_path: Path) -> None:
    finetune(leaf, digits, settings=replace(QUICK, epochs=1), checkpoint=tmp_path / "c")
    assert [f.name for f in tmp_path.iterdir()] == ["c"]


def test_a_checkpoint_of_another_run_is_refused(leaf: Brick, digits: Data, tmp_path: Path) -> None:
    finetune(leaf, digits, settings=replace(QUICK, epochs=1), checkpoint=tmp_path / "c")
    with pytest.raises(FormatError, match="another run"):
        finetune(leaf, digits, settings=replace(QUICK, epochs=2), checkpoint=tmp_path / "c", resume=True)


def test_a_missing_checkpoint_is_refused(leaf: Brick, digits: Data, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no checkpoint"):
        finetune(leaf, digits, settings=QUICK, checkpoint=tmp_path / "c", resume=True)


def test_a_pickle_with_code_is_not_run(leaf: Brick, digits: Data, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"version": 2, "model": Evil()}, tmp_path / "c")
    with pytest.raises(FormatError, match="cannot be read"):
        finetune(leaf, digits, settings=QUICK, checkpoint=tmp_path / "c", resume=True)
    assert not (tmp_path / "ran").exists()


def test_the_test_part_is_never_read(leaf: Brick, digits: Data) -> None:
    assert digits.test is not None
    broken = ImageSet.of(_Untouchable(len(digits.test)), digits.test.labels, digits.test.classes)
    finetune(leaf, Data(digits.train, broken), settings=replace(QUICK, epochs=1))


class _Untouchable:
    """A store whose images may not be read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> None:
        raise AssertionError("a test image was read")


def test_cross_weights_stay_zero(padded: Brick, digits: Data) -> None:
    done = finetune(padded, digits, settings=replace(QUICK, keep="last"))
    weight = done.model.state_dict()["network.2.weight"]
    assert weight[:2, 2:].abs().max() == 0
    assert weight[2:, :2].abs().max() == 0
    assert not torch.equal(weight, padded.state_dict()["network.2.weight"])


def test_cross_weights_may_grow(padded: Brick, digits: Data) -> None:
    weight = finetune(padded, digits, settings=replace(QUICK, keep="last"), grow_cross=True).model.state_dict()[
        "network.2.weight"
    ]
    assert weight[:2, 2:].abs().max() > 0


def test_bricks_of_one_source_have_no_masks(leaf: Brick) -> None:
    with torch.no_grad():
        leaf.network.get_submodule("5").weight[0, 0] = 0  # type: ignore[index, operator]
    assert cross_masks(leaf) == {}


def test_images_of_unlike_sizes_are_brought_to_one(leaf: Brick) -> None:
    class Mixed:
        def __len__(self) -> int:
            return 24

        def name(self, index: int) -> str:
            return str(index)

        def read(self, index: int):  # type: ignore[no-untyped-def]
            import numpy as np

            side = 8 + index % 2
            return np.full((side, side, 1), index, np.uint8)

    images = ImageSet.of(Mixed(), [i % 3 for i in range(24)], ["0", "1", "2"])  # type: ignore[arg-type]
    assert len(finetune(leaf, images, settings=replace(QUICK, epochs=1)).curve) == 2


def test_without_held_out_images_there_is_no_accuracy(leaf: Brick, digits: Data) -> None:
    done = finetune(leaf, digits, settings=replace(QUICK, epochs=1, held_out=0.0, keep="last"))
    assert [p.accuracy for p in done.curve] == [None, None]
    assert done.kept_epoch == 1


def test_the_best_epoch_is_kept(leaf: Brick, digits: Data) -> None:
    done = finetune(leaf, digits, settings=QUICK)
    assert done.curve[done.kept_epoch].accuracy == max(p.accuracy or 0 for p in done.curve)


def test_training_that_harms_leaves_the_model_as_it_was(leaf: Brick, digits: Data) -> None:
    good = finetune(leaf, digits, settings=QUICK).model
    good.info = good.info.changed(scores={"brick_accuracy": 0.9}, reject=Reject(threshold=0.5, statistic="energy"))
    done = finetune(good, digits, settings=replace(QUICK, lr=50.0))
    assert done.kept_epoch == 0
    assert (done.curve[-1].accuracy or 0) < (done.curve[0].accuracy or 0)
    assert same(done.model, good)
    assert done.model.info == good.info


def test_the_last_weights_are_kept_where_asked_for(leaf: Brick, digits: Data) -> None:
    done = finetune(leaf, digits, settings=replace(QUICK, keep="last", lr=50.0))
    assert done.kept_epoch == QUICK.epochs
    assert not same(done.model, leaf)


def test_of_several_settings_the_one_that_does_best_is_taken(leaf: Brick, digits: Data) -> None:
    wild, fine = replace(QUICK, lr=50.0), QUICK
    assert finetune(leaf, digits, settings=[wild, fine]).settings == fine
    assert finetune(leaf, digits, settings=[fine, wild]).settings == fine


def test_without_settings_they_are_chosen_by_the_number_of_images(leaf: Brick, digits: Data) -> None:
    few = digits.train.subset(range(120))
    done = finetune(leaf, few)
    assert done.settings in candidates(len(few.for_model(leaf.classes)))


def test_a_run_with_chosen_settings_resumes_with_them(leaf: Brick, digits: Data, tmp_path: Path) -> None:
    several, file = [replace(QUICK, lr=0.01), QUICK], tmp_path / "run.pt"
    whole = finetune(leaf, digits, settings=several)

    def interrupt(point: Epoch) -> None:
        if point.epoch == 1:
            raise Stop

    with pytest.raises(Stop):
        finetune(leaf, digits, settings=several, checkpoint=file, on_epoch=interrupt)
    titles: list[str] = []
    resumed = finetune(
        leaf, digits, settings=several, checkpoint=file, resume=True, progress=lambda t, u: noted(titles, t, u)
    )
    assert same(whole.model, resumed.model)
    assert titles == ["finetune"]


def noted(titles: list[str], title: str, unit: str) -> AbstractContextManager[Update]:
    titles.append(title)
    return silent(title, unit)


def test_frozen_norms_keep_their_means(leaf: Brick, digits: Data) -> None:
    done = finetune(leaf, digits, settings=replace(QUICK, norms="frozen", keep="last"))
    before, after = leaf.state_dict(), done.model.state_dict()
    assert torch.equal(before["network.1.running_mean"], after["network.1.running_mean"])
    assert not torch.equal(before["network.1.weight"], after["network.1.weight"])


def test_bfloat16_trains(leaf: Brick, digits: Data) -> None:
    done = finetune(leaf, digits, settings=replace(QUICK, precision="bfloat16"))
    assert (done.curve[-1].accuracy or 0) > 0.9
    assert {p.dtype for p in done.model.parameters()} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_trains_in_mixed_precision(parallel: Assembled, digits: Data) -> None:
    done = finetune(parallel, digits, settings=replace(QUICK, device="auto"))
    assert (done.curve[-1].accuracy or 0) > 0.9
    assert {p.device.type for p in done.model.parameters()} == {"cpu"}


def test_unknown_classes_are_refused(digits: Data) -> None:
    with pytest.raises(DataError, match="no class"):
        finetune(brick_of(["cat", "dog"]), digits)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"lr": 0.0}, {"batch_size": 1}, {"held_out": 1.0}, {"keep": "best", "held_out": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(LegoError):
        Settings(**wrong)  # type: ignore[arg-type]
