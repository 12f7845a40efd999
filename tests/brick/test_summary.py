"""What a brick says of itself at a glance: its own numbers, and names that stay names."""

from pathlib import Path

from modellego.brick import Assembled, Joint, Reject, assembled_info
from modellego.brick.costs import cost
from modellego.brick.summary import summarise
from modellego.drawing.words import count


def test_a_brick_prints_in_one_line(make_brick, tmp_path: Path) -> None:
    brick = make_brick(scores={"brick_accuracy": 0.987, "base_accuracy": None})
    brick.save(tmp_path / "pets.brick")
    spent = cost(brick)
    told = f"{count(spent.macs)} MACs, {count(spent.parameters)} parameters, accuracy 98.7 %"
    assert repr(brick) == f"<Brick pets: 3 classes (cat, dog, fox), {told}>"


def test_an_assembled_model_counts_its_bricks(make_brick) -> None:
    pieces = [make_brick(("cat", "dog")), make_brick(("fox", "owl"), seed=1)]
    model = Assembled(pieces, Joint(), assembled_info(pieces, ["cat", "dog", "fox", "owl"]))
    found = summarise(model)
    assert found.macs == sum(cost(piece).macs for piece in pieces)
    assert repr(model).startswith("<Assembled")
    assert "4 classes (cat, dog, fox, owl)" in repr(model)


def test_a_notebook_shows_classes_costs_and_scores(make_brick) -> None:
    reject = Reject(threshold=-1.25, statistic="energy")
    brick = make_brick(scores={"accuracy": 0.5, "balanced_accuracy": 0.25}, reject=reject)
    shown = brick._repr_html_()
    for text in ("cat, dog, fox", "MACs", "parameters", "50.0 %", "25.0 %", "energy below -1.25"):
        assert text in shown


def test_names_are_no_markup(make_brick) -> None:
    shown = make_brick(("<script>alert(1)</script>", "dog", "fox"))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_one_measure_stands_once_the_models_own_first(make_brick) -> None:
    found = summarise(make_brick(scores={"brick_accuracy": 0.5, "accuracy": 0.75}))
    assert found.scores == {"accuracy": 0.75}
