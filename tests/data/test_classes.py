"""Choosing classes, and meeting a model's classes by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellego.data import match_labels, parse_mapping, resolve_classes
from modellego.errors import DataError

ANIMALS = ("cat", "dog", "fox", "red panda", "T-shirt")


@pytest.mark.parametrize(
    ("spec", "indices"),
    [
        ("0-2,4", [0, 1, 2, 4]),
        ("dog,cat", [1, 0]),
        (" dog , 0 ", [1, 0]),
        ("1,1,0-1", [1, 0]),
        ("Red_Panda", [3]),
        ("t-shirt", [4]),
        (["dog", 0], [1, 0]),
        (2, [2]),
        (["0-1", "fox"], [0, 1, 2]),
    ],
)
def test_indices_ranges_and_names(spec: str | int | list[str | int], indices: list[int]) -> None:
    assert resolve_classes(spec, ANIMALS) == indices


@given(st.lists(st.integers(0, 19), min_size=1))
def test_any_list_of_indices_is_kept_in_order_once(indices: list[int]) -> None:
    names = [f"n{k}" for k in range(20)]
    assert resolve_classes(",".join(map(str, indices)), names) == list(dict.fromkeys(indices))


DIGITS = ("5", "6", "7", "8", "9")


@pytest.mark.parametrize(
    ("spec", "indices"),
    [
        ("7-9", [2, 3, 4]),
        ("index:2-4", [2, 3, 4]),
        ("name:5,index:1", [0, 1]),
        (2, [2]),
    ],
)
def test_classes_named_by_numbers(spec: str | int, indices: list[int]) -> None:
    assert resolve_classes(spec, DIGITS) == indices


def test_numbers_that_are_name_and_index_of_the_same_class_are_no_riddle() -> None:
    assert resolve_classes("2-4", [str(k) for k in range(10)]) == [2, 3, 4]


def test_an_index_is_not_taken_for_a_name() -> None:
    with pytest.raises(DataError, match=r"no class named '2': .*: write index:2-4 for the classes 7, 8, 9"):
        resolve_classes("2-4", DIGITS)


def test_a_number_that_is_the_name_of_one_class_and_the_index_of_another_is_refused() -> None:
    with pytest.raises(DataError, match="write name:1, or index:1 for the classes 6"):
        resolve_classes("1", ["5", "6", "1"])


def test_a_range_longer_than_memory_is_refused() -> None:
    with pytest.raises(DataError, match="no class named '10'"):
        resolve_classes("5-99999999999999", DIGITS)


def test_a_name_may_hold_commas() -> None:
    assert resolve_classes("tench, Tinca tinca,cock", ["cock", "tench, Tinca tinca"]) == [1, 0]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("dgo", "no class 'dgo': did you mean dog"),
        ("zebra", "no class 'zebra': there are cat, dog"),
        ("5", "class index 5 is out of range: there are 5, 0 to 4"),
        ("3-9", "class index 9 is out of range"),
        ("-1", "class index -1 is out of range"),
        ("2-0", "runs backwards: write 0-2"),
        ("", "no classes are named"),
        (",", "no classes are named"),
    ],
)
def test_what_cannot_be_meant_is_refused(spec: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        resolve_classes(spec, ANIMALS)


def test_an_index_out_of_range_that_is_a_name_is_explained() -> None:
    with pytest.raises(DataError, match="the class named '7' has index 1"):
        resolve_classes(7, ["6", "7"])


def test_a_name_that_two_classes_bear_is_refused() -> None:
    with pytest.raises(DataError, match="names the classes 0 and 2: give the index"):
        resolve_classes("crane", ["crane", "dog", "crane"])


@pytest.mark.parametrize(
    ("labels", "classes", "wanted"),
    [
        (["dog", "cat", "cow"], ["cat", "dog"], [1, 0, -1]),
        (["red panda"], ["Red_Panda"], [0]),
        (["cat"], ["pets/cat", "pets/dog"], [0]),
        (["a/cat", "b/cat"], ["b/cat", "a/cat"], [1, 0]),
        (["tench, Tinca tinca"], ["tench"], [0]),
        (["Dog"], ["dog", "Dog"], [1]),
        (["Crane"], ["crane", "crane, machine"], [0]),
        (["crane", "dog", "crane"], ["crane", "dog", "crane"], [0, 1, 2]),
    ],
)
def test_labels_meet_classes_by_name(labels: list[str], classes: list[str], wanted: list[int]) -> None:
    assert match_labels(labels, classes).tolist() == wanted


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ("crane", ["crane", "crane", "dog"]),
        ("cat", ["a/cat", "b/cat"]),
        ("cat", ["cat", "b/cat"]),
        ("red panda", ["Red Panda", "red_panda"]),
        ("maillot, tank suit", ["maillot", "tank suit"]),
    ],
)
def test_a_label_that_fits_two_classes_is_refused(label: str, classes: list[str]) -> None:
    with pytest.raises(DataError, match=r"fits the model's classes 0 .* and 1 .*: map it"):
        match_labels([label], classes)


def test_a_mapped_label_goes_where_it_is_sent() -> None:
    mapping = parse_mapping(["crane=1", "bird=dog"])
    assert match_labels(["crane", "bird"], ["crane", "crane", "dog"], mapping).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("mapping", "says"), [({"cta": "dog"}, "no class 'cta' to map"), ({"cat": "dgo"}, "no class 'dgo'")]
)
def test_unknown_names_in_a_mapping_are_refused(mapping: dict[str, str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        match_labels(["cat"], ["dog"], mapping)


def test_a_mapping_needs_an_equals_sign() -> None:
    with pytest.raises(DataError, match="write label=class"):
        parse_mapping(["cat"])
