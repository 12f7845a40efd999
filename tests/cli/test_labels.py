"""What the command line says of the data's labels before it works, and how they are mapped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modellego.cli import main


def test_classes_of_several_go_through_all_commands(road: dict[str, dict[str, Any]]) -> None:
    assert road["joined"]["classes"] == ["pet", "fox"]
    assert road["joined"]["base_accuracy"] == road["joined"]["brick_accuracy"] == 1.0


def test_labels_are_mapped_by_a_file_and_others_named(road: dict[str, dict[str, Any]]) -> None:
    found = road["joined evaluate"]
    assert (found["images"], found["accuracy"]) == (12, 1.0)
    assert found["off_task"]["classes"] == ["zebra"]


def run(line: str) -> None:
    """Run a command that must succeed."""
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code == 0


MODEL = "nets.py:good --mean 0 --std 1 --latency 0"
STUDENT = "zoo:lenet5 --width 0.5 --epochs 1 -o taught.brick"


def test_the_mapping_is_shown_before_work(within: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(f"evaluate {MODEL} --data animals --class-names cat,dog,fox --map moggy=cat")
    said = capsys.readouterr()
    assert said.err.startswith("note: labels: 1 of 4 are classes of the model by name; moggy is cat (by map);")
    assert "no class of the model: hound, zebra" in said.err
    assert "off its task (8 images labelled hound, zebra)" in " ".join(said.out.split())


def test_equal_names_are_no_news(within: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(f"evaluate {MODEL} --data pets")
    assert capsys.readouterr().err == ""


def test_a_label_that_is_nearly_a_class_is_refused(fails: Callable[[str], str]) -> None:
    said = fails("evaluate nets.py:good --data animals --class-names moggy,hounds,fox --mean 0 --std 1")
    assert "'hound' is no class of the model, but may mean hounds" in said


def test_images_without_labels_are_labelled_by_the_model(within: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "disassemble nets.py:good --mean 0 --std 1 --class-names cat,dog,fox --classes cat,dog -o own.brick"
    run(f"{line} --unlabelled pets/train --sure 0.5 --least 4 --test-data pets --force")
    said = capsys.readouterr()
    assert "of 12 images without labels the model itself labels 8" in said.err
    assert "cat 4, dog 4" in said.err
    assert "Too few images for a sound refit" in " ".join(said.out.split())


def test_labels_are_either_given_or_the_models_own(fails: Callable[[str], str]) -> None:
    said = fails("disassemble nets.py:good --data pets --unlabelled pets --classes cat -o own2.brick")
    assert "either labelled images with --data, or others with --unlabelled" in said


def test_a_student_and_an_exported_file_say_what_labels_mean(within: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(f"disassemble {MODEL.removesuffix(' --latency 0')} --data pets --classes cat,dog -o mapped.brick")
    mapped = "mapped.brick {} --data animals --map moggy=cat --map hound=dog"
    for line in ("export " + mapped.format("--to pt2 -o mapped.pt2"), "distill " + mapped.format(STUDENT)):
        capsys.readouterr()
        run(line)
        assert "moggy is cat (by map)" in capsys.readouterr().err
