"""Choosing classes, one by one or several as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellego.data import resolve_classes, resolve_targets
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
        ("0-9", "class index 9 is out of range"),
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
    ("spec", "targets"),
    [
        ("cat=0-1,dog=3", [("cat", (0, 1)), ("dog", (3,))]),
        ("cat=tabby,cat=tiger cat", [("cat", (0, 1))]),
        ("cat=tabby, mackerel,fox", [("cat", (0,)), ("fox", (2,))]),
        (["pet=0-1", 2], [("pet", (0, 1)), ("fox", (2,))]),
        ("fox=2", [("fox", (2,))]),
        ("a=b", [("a=b", (4,))]),
    ],
)
def test_several_classes_may_be_asked_for_as_one(
    spec: str | list[str | int], targets: list[tuple[str, tuple[int, ...]]]
) -> None:
    names = ("tabby, mackerel", "tiger cat", "fox", "dog", "a=b")
    assert [(t.name, t.members) for t in resolve_targets(spec, names)] == targets


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("pet=0-1,cat", "'cat' is in 'pet' and 'cat'"),
        ("pet=0,wild=0-2", "'cat' is in 'pet' and 'wild'"),
        ("dog=0,dog", "both as it is and made of others"),
        ("=0", "write cat=281-285"),
        ("pet=", "write cat=281-285"),
        ("pet=0-9", "class index 9 is out of range"),
    ],
)
def test_classes_that_cannot_be_one_are_refused(spec: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        resolve_targets(spec, ANIMALS)


def test_a_class_is_named_by_a_synonym_or_its_synset() -> None:
    names = ["tench, Tinca tinca", "tabby, tabby cat"]
    assert resolve_classes("tabby cat", names) == resolve_classes("n02123045", names) == [1]


def test_where_several_classes_may_be_meant_they_are_named() -> None:
    names = ["tabby, tabby cat", "tiger cat", "dog"]
    with pytest.raises(DataError, match=r"no class 'cat': did you mean tabby, tabby cat \(0\) or tiger cat \(1\)\?"):
        resolve_classes("cat", names)


def test_what_takes_no_joined_classes_says_so() -> None:
    with pytest.raises(DataError, match="'pet' is made of other classes"):
        resolve_classes("pet=0-1", ANIMALS)
