"""What `inspect` reports of a network."""

from torch import nn

from modellego import zoo
from modellego.assembly import assemble
from modellego.evaluation.inspection import inspect
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


def test_every_layer_is_listed_with_what_may_be_cut() -> None:
    (found,) = inspect(whole_brick(zoo.build("lenet5", 10, 1, 28), Preprocess(1, 28, 28), name="lenet"))["networks"]
    assert [row["type"] for row in found["layers"]] == ["Conv2d", "Conv2d", "Linear", "Linear", "Linear"]
    assert [(row["in"], row["out"]) for row in found["layers"]][:2] == [(1, 6), (6, 16)]
    assert sum(row["macs"] for row in found["layers"]) == found["macs"]
    assert found["name"] == "lenet"


def test_the_channels_of_a_residual_stream_are_one_set_each() -> None:
    (found,) = inspect(whole_brick(zoo.build("resnet20", 10), Preprocess(3, 32, 32)))["networks"]
    # three streams of 16, 32, 64, and in each of their three blocks as many inner channels; 10 logits, 3 of the input
    assert found["cuttable_groups"] == 4 * (16 + 32 + 64)


def test_an_assembled_model_shows_each_network() -> None:
    bricks = [whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Preprocess(1, 2, 2), name=n) for n in "ab"]
    found = inspect(assemble(bricks))
    assert [n["name"] for n in found["networks"]] == ["a", "b"]
    assert found["kind"] == "assembled"
