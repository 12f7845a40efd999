"""The commands one after the other, as real processes: each prints one JSON object with what the next one needs."""

from pathlib import Path
from typing import Any

import pytest

from modellego.brick import load

Road = dict[str, dict[str, Any]]


def test_disassemble_says_what_came_out(road: Road) -> None:
    found = road["disassemble"]
    assert found["classes"] == ["cat", "dog"]
    assert found["base_accuracy"] == found["base_restricted_accuracy"] == found["brick_accuracy"] == 1.0
    assert found["macs"] < found["macs_base"]
    assert found["parameters"] < found["parameters_base"]
    assert found["path"] == "two.brick"


def test_the_brick_lies_where_it_says(road: Road, place: Path) -> None:
    brick = load(place / road["disassemble"]["path"])
    assert brick.classes == ("cat", "dog")
    assert {p.name for p in (place / "two.brick").iterdir()} == {"brick.json", "model.safetensors", "README.md"}


def test_a_brick_is_disassembled_again(road: Road) -> None:
    assert road["again"]["classes"] == ["dog"]


def test_assemble_keeps_equal_names_apart(road: Road) -> None:
    assert road["assemble"]["classes"] == ["one/dog", "cat", "two/dog"]


def test_images_that_fit_two_classes_are_not_scored(road: Road) -> None:
    assert road["assemble"]["accuracy"] is None
    assert "Not scored: the label 'dog' fits" in road["assemble"]["notes"]


def test_merged_classes_are_scored(road: Road) -> None:
    assert road["merged"]["classes"] == ["dog", "cat"]
    assert road["merged"]["accuracy"] == 1.0


def test_evaluate_says_accuracy_and_cost(road: Road) -> None:
    found = road["evaluate"]
    assert found["accuracy"] == found["balanced_accuracy"] == 1.0
    assert found["macs"] == road["disassemble"]["macs"]
    assert found["parameters"] == road["disassemble"]["parameters"]
    assert found["classes"] == ["cat", "dog"]
    assert found["off_task"]["images"] == 4


def test_predict_names_each_file(road: Road) -> None:
    found = road["predict"]["predictions"]
    assert [Path(p["file"]).name for p in found] == ["0.png", "1.png", "2.png", "3.png"]
    assert {p["class"] for p in found} == {"cat"}
    assert sum(t["probability"] for t in found[0]["top"]) == pytest.approx(1)


def test_images_of_any_size_serve_the_refit(road: Road) -> None:
    assert road["unlabelled"]["refit"]["images"] == 20


def test_a_wary_brick_says_none_of_these(road: Road) -> None:
    found = road["wary evaluate"]
    assert found["reject"]["statistic"] == "energy"
    assert found["off_task"]["rejected_off"] == found["off_task"]["auroc_reject"] == 1.0
    assert {p["class"] for p in road["wary predict"]["predictions"]} == {None}
    assert all(p["probability"] is None and p["rejected"] for p in road["wary predict"]["predictions"])


def test_inspect_shows_layers_and_groups(road: Road) -> None:
    (network,) = road["inspect"]["networks"]
    assert [row["layer"] for row in network["layers"]] == ["0", "4"]
    assert network["layers"][0]["may_cut"] == 6


def test_curve_gives_a_point_a_budget(road: Road) -> None:
    assert [p["wanted"] for p in road["curve"]["points"]] == [1.0, 0.7]
    assert road["curve"]["points"][1]["macs"] <= 0.7


def test_thresholds_give_a_point_a_value(road: Road) -> None:
    found = road["thresholds"]
    assert [(p["threshold"], p["value"]) for p in found["points"]] == [("linear_beta", 0.0), ("linear_beta", 0.9)]
    assert found["points"][1]["macs"] < found["points"][0]["macs"]
    assert found["base_restricted"] == 1.0


def test_ablation_compares_five_ways(road: Road) -> None:
    found = road["ablation"]
    assert [way["name"] for way in found["ways"]] == ["padding", "scaling layers", "scaling logits", "affine", "head"]
    assert found["bricks"] == ["one", "two"]
    assert found["ways"][0]["accuracy"] == 1.0
