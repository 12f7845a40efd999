"""Scoring and predicting with bricks on images in memory."""

import pytest
import torch
from torch import nn

from modellego.brick import Brick
from modellego.data import Data, ImageSet
from modellego.errors import DataError
from modellego.evaluation import evaluate, latency, logits_of, predict
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


def brightness(classes: int = 2) -> Brick:
    """Class k answers to channel k: a brick that is always right on `colours`."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes, bias=False))
    net[2].weight.data = torch.eye(3)[:classes] * 9  # type: ignore[union-attr]
    return whole_brick(net, Preprocess(3, 4, 4), ["red", "green", "blue"][:classes], "brightness")


def colours(per_class: int = 3) -> ImageSet:
    labels = torch.arange(3).repeat(per_class)
    images = torch.zeros(len(labels), 3, 4, 4)
    images[torch.arange(len(labels)), labels] = 1
    return ImageSet.from_tensor(images, labels, ["red", "green", "blue"])


def test_images_of_other_classes_are_off_the_task() -> None:
    found = evaluate(brightness(), colours())
    assert (found.scores.images, found.scores.accuracy) == (6, 1.0)
    assert found.off_task is not None
    assert (found.off_task.images, found.off_task.auroc) == (3, 1.0)


def test_base_is_measured_with_the_source() -> None:
    found = evaluate(brightness(), colours(), source=brightness(3))
    assert (found.base, found.base_restricted) == (1.0, 1.0)


def test_a_source_without_the_class_is_refused() -> None:
    with pytest.raises(DataError, match="'blue'"):
        evaluate(brightness(3), colours(), source=brightness(2))


def test_the_test_part_is_scored() -> None:
    assert evaluate(brightness(3), Data(colours(3), colours(5))).scores.images == 15


def test_labels_are_mapped() -> None:
    images = colours()
    renamed = ImageSet(("rouge", "green", "blue"), images.labels, images.store, images.where)
    assert evaluate(brightness(), renamed, mapping={"rouge": "red"}).scores.images == 6


def test_json_names_every_figure() -> None:
    measured = evaluate(brightness(), colours(), latency_batch=2, latency_runs=2)
    found = measured.as_json()
    assert {"accuracy", "balanced_accuracy", "macs", "parameters", "classes", "off_task", "latency"} <= found.keys()
    assert found["per_class"] == {"red": 1.0, "green": 1.0}
    assert found["not_counted"] == list(measured.cost.not_counted)
    assert found["latency"].keys() == {"median", "fastest", "runs", "batch"}
    assert evaluate(brightness(), colours()).as_json()["latency"] is None


def test_logits_come_in_any_batch_size_and_leave_the_mode() -> None:
    brick = brightness(3)
    brick.train()
    whole, parts = logits_of(brick, colours()), logits_of(brick, colours(), batch_size=2)
    assert torch.equal(whole, parts)
    assert brick.training


def test_predict_orders_classes_by_probability() -> None:
    (found,) = predict(brightness(3), torch.tensor([0.2, 0.9, 0.5]).view(1, 3, 1, 1).expand(1, 3, 4, 4), top=2)
    assert found.classes == ("green", "blue")
    assert found.probabilities[0] > found.probabilities[1]


def test_latency_takes_the_median_of_its_runs() -> None:
    found = latency(nn.Linear(3, 2), torch.zeros(4, 3), runs=3)
    assert 0 < found.fastest <= found.median
    assert found.runs == 3
