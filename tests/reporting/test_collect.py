"""What a report gathers from real models equals what the evaluation measures."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego.assembly.side_by_side import parallel
from modellego.brick import Brick, Cut, Joint, Reject
from modellego.data import Data, load_data
from modellego.errors import DataError
from modellego.evaluation import evaluate
from modellego.preprocess import Preprocess
from modellego.reporting import ReportData, render_report, report, report_data
from modellego.sources.whole import whole_brick

DIGITS = tuple(str(digit) for digit in range(10))


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


@pytest.fixture(scope="module")
def source(digits: Data) -> Brick:
    """A small network, trained a little."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 10)
    )
    x, y = digits.train.images(), torch.from_numpy(digits.train.labels)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    return whole_brick(net, Preprocess(1, 8, 8), DIGITS, "small")


def piece(source: Brick, labels: list[int]) -> Brick:
    """The source with some of its logits only, nothing else cut."""
    from modellego.channels import analyse
    from modellego.cut import cut, plan_cut

    network = source.captured()
    channels = analyse(network)
    small = cut(plan_cut(network, channels, channels.keep_all(), labels))
    names = tuple(DIGITS[label] for label in labels)
    origin = source.info.sources[0].model_copy(update={"classes": names, "of": tuple(labels)})
    return Brick(small.graph, source.info.changed(classes=names, sources=(origin,)))


@pytest.fixture(scope="module")
def low(source: Brick) -> Brick:
    return piece(source, [0, 1, 2])


@pytest.fixture(scope="module")
def high(source: Brick) -> Brick:
    return piece(source, [7, 9])


def test_scores_are_those_of_evaluate(low: Brick, source: Brick, digits: Data) -> None:
    found = report_data(low, digits, name="low", sources=[source], with_routes=False)
    measured = evaluate(low, digits, source=source)
    by_name = {score.name: score for score in found.scores}
    assert by_name["base"].accuracy == pytest.approx(measured.base)
    assert by_name["base restricted"].accuracy == pytest.approx(measured.base_restricted)
    assert by_name["low"].accuracy == measured.scores.accuracy
    assert by_name["low"].balanced == measured.scores.balanced_accuracy
    assert found.off_task is not None
    assert measured.off_task is not None
    assert found.off_task.auroc == measured.off_task.auroc
    assert len(found.off_task.outside) == measured.off_task.images
    np.testing.assert_array_equal(found.confusion, measured.scores.confusion)


def test_nothing_cut_is_base_restricted(low: Brick, source: Brick, digits: Data) -> None:
    found = report_data(low, digits, sources=[source], with_routes=False)
    np.testing.assert_allclose(found.restricted_per_class, found.per_class)
    assert found.scores[1].accuracy == found.scores[2].accuracy
    assert [(w.name, w.before, w.after) for w in found.widths] == [("0", 6, 6), ("2", 8, 8), ("5", 10, 3)]


def test_an_assembled_model_has_a_tree_groups_and_routes(low: Brick, high: Brick, source: Brick, digits: Data) -> None:
    both = parallel([low, high], [*low.classes, *high.classes])
    found = report_data(both, digits, name="five", sources=[source], latency_runs=2)
    assert [parent.name for parent in found.lineage.made_from] == ["brick 1", "brick 2"]
    assert [parent.made_from[0].name for parent in found.lineage.made_from] == ["small", "small"]
    assert found.groups == ("brick 1",) * 3 + ("brick 2",) * 2
    assert [graph.classes for graph in found.routes] == [("0", "1", "2"), ("7", "9")]
    assert found.sizes[-1].latency_ms is not None
    assert "five" in render_report(found)


def test_bricks_of_features_are_followed_to_the_joint(low: Brick, high: Brick, digits: Data) -> None:
    bricks = [Brick(b.network, b.info.changed(outputs="features")) for b in (low, high)]
    both = parallel(bricks, DIGITS[:5], Joint(linear=nn.Linear(5, 5)))
    found = report_data(both, digits, route_classes="0,3")
    assert [graph.classes for graph in found.routes] == [("0",), ("3",)]  # each with its own classes alone
    assert [graph.layers[-1].name for graph in found.routes] == ["joint", "joint"]


def test_one_class_is_scored_by_its_logit(source: Brick, digits: Data) -> None:
    found = report_data(piece(source, [4]), digits, with_routes=False)
    assert found.off_task is not None
    assert found.off_task.statistic == "sigmoid of the only logit"
    assert found.off_task.auroc > 0.8


def test_without_data_the_saved_scores_are_shown(low: Brick) -> None:
    scores = {"base_accuracy": 0.5, "base_restricted_accuracy": 0.75, "brick_accuracy": 0.625}
    brick = Brick(low.network, low.info.changed(scores=scores))
    page = report(brick, name="low")
    assert "62.5" in page
    assert "75.0" in page
    assert report_data(brick).confusion is None


def test_a_source_of_other_classes_is_refused(low: Brick, digits: Data) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    other = whole_brick(net, Preprocess(1, 8, 8), ["cat", "dog"])
    with pytest.raises(DataError, match="a source has no class of this model"):
        report_data(low, digits, sources=[other], with_routes=False)


def test_a_whole_model_can_be_reported(source: Brick, digits: Data) -> None:
    found: ReportData = report_data(source, digits, name="small", with_routes=False)
    assert found.off_task is None
    assert found.lineage.detail == "uncut"


def test_an_assembled_model_shows_what_its_bricks_were_saved_with(low: Brick, high: Brick) -> None:
    saved = [
        Brick(b.network, b.info.changed(scores={"base_accuracy": base, "base_restricted_accuracy": base + 0.1}))
        for b, base in ((low, 0.5), (high, 0.7))
    ]
    rows = report_data(parallel(saved, [*low.classes, *high.classes])).scores
    assert [(r.name, r.balanced) for r in rows[:2]] == [
        ("base", pytest.approx((3 * 0.5 + 2 * 0.7) / 5)),
        ("base restricted", pytest.approx((3 * 0.6 + 2 * 0.8) / 5)),
    ]


def test_sources_of_one_name_are_told_apart(low: Brick, high: Brick) -> None:
    (origin,) = high.info.sources
    other = Brick(high.network, high.info.changed(sources=(origin.model_copy(update={"total": 100}),)))
    found = report_data(parallel([low, other], [*low.classes, *high.classes]), name="five").sizes
    assert [size.name for size in found] == ["small (10)", "small (100)", "five"]


def test_widths_before_the_cut_are_the_ones_recorded(low: Brick) -> None:
    how = Cut(criterion="l1", kept=1, total=2, widths={"0": 60, "2": 80})
    found = report_data(Brick(low.network, low.info.changed(cut=how))).widths
    assert [(w.name, w.before, w.after) for w in found] == [("0", 60, 6), ("2", 80, 8)]


def test_off_the_task_the_models_own_rule_counts(low: Brick, digits: Data) -> None:
    rule = Reject(threshold=3.0, statistic="energy")
    found = report_data(Brick(low.network, low.info.changed(reject=rule)), digits, with_routes=False).off_task
    measured = evaluate(Brick(low.network, low.info.changed(reject=rule)), digits).off_task
    assert found is not None
    assert measured is not None
    assert (found.statistic, found.threshold) == ("energy", 3.0)
    assert found.auroc == pytest.approx(measured.auroc_reject)
