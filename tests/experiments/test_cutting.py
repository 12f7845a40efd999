"""The cutter: the budget holds, the test part is scored as `evaluate` scores it, a ranking is worked out once."""

from collections.abc import Callable

import pytest

from experiments.frame.run import Run
from experiments.study import cutting
from experiments.study.cutting import Cutter, Method
from modellego.evaluation import cost, logits_of, score
from modellego.locate import Curve


@pytest.fixture
def cutter(run_of: Callable[[str], Run]) -> Cutter:
    subject = run_of("cutting").subject("cifar10")
    return Cutter(subject.whole, subject.data, "2,0", 6, most_confident=subject.most_confident)


@pytest.mark.parametrize("method", [Method("contribution"), Method("contribution", "groups"), Method("l1", "groups")])
def test_budget_holds(cutter: Cutter, method: Method) -> None:
    assert cutter.row(cutter.cut(method, 0.5))["macs"] <= 0.5


def test_accuracy_is_that_of_evaluate(cutter: Cutter) -> None:
    brick = cutter.cut(Method("l1"), 0.75, refit=True)
    assert cutter.job.data.test is not None
    test = cutter.job.data.test.select(cutter.job.task)
    assert cutter.row(brick)["accuracy"] == score(logits_of(brick, test), test.labels).accuracy


def test_base_lets_all_logits_compete_and_restricted_the_tasks(cutter: Cutter) -> None:
    found = cutter.base()
    assert found["images"] == 6
    assert found["restricted"] >= found["base"]
    assert found["macs"] == cost(cutter.whole).macs


def test_ranking_is_worked_out_once(cutter: Cutter, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    rank = cutting.rank_groups

    def counted(*given: object, **more: object) -> Curve:
        calls.append("rank")
        return rank(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(cutting, "rank_groups", counted)
    for share in (0.8, 0.5):
        cutter.cut(Method("random"), share)
    assert calls == ["rank"]


def test_refit_says_so_in_the_brick(cutter: Cutter) -> None:
    assert cutter.cut(Method("l1"), 0.5).info.refit is None
    assert cutter.cut(Method("l1"), 0.5, refit=True).info.refit is not None
