"""Which class of a model each label means."""

from pathlib import Path

import pytest

from modellego.data import Vocabulary, match, match_labels, parse_mapping, read_mapping
from modellego.data.synonyms import imagenet
from modellego.errors import DataError


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


def test_a_label_mapped_to_nothing_means_no_class() -> None:
    found = match(["cat", "dog"], ["cat", "dog", "fox"], {"dog": ""})
    assert (found.number.tolist(), found.unmatched) == ([0, -1], ("dog",))


CATS = Vocabulary(("cat", "dog"), {"cat": ("tabby, tabby cat", "tiger cat")}, {281: 0, 282: 0, 151: 1}, 1000)


@pytest.mark.parametrize(
    ("label", "number", "how"),
    [
        ("cat", 0, "name"),
        ("Cat", 0, "spelling"),
        ("tiger cat", 0, "member's name"),
        ("tabby", 0, "member's synonym"),
        ("n02123159", 0, "synset"),
        ("282", 0, "index"),
        ("151", 1, "index"),
        ("0", -1, ""),
        ("n01440764", -1, ""),
    ],
)
def test_a_label_is_found_by_name_member_synset_or_source_index(label: str, number: int, how: str) -> None:
    found = match([label, "something else"], CATS)
    assert (found.number[0], found.how[0]) == (number, how)


def test_a_number_is_no_index_where_classes_are_named_by_numbers() -> None:
    assert match_labels(["0", "7"], Vocabulary(("7", "8"), numbers={0: 0, 1: 1}, total=9)).tolist() == [-1, 0]


def test_numbers_beyond_the_source_make_none_of_them_an_index() -> None:
    known = Vocabulary(("cat", "dog"), numbers={0: 0, 1: 1}, total=2)
    assert match_labels(["0", "1"], known).tolist() == [0, 1]
    assert match_labels(["0", "1", "2"], known).tolist() == [-1, -1, -1]


def test_two_synsets_of_one_name_are_told_apart_by_their_numbers() -> None:
    names = list(imagenet().values())
    bird, machine = names.index("crane"), len(names) - 1 - names[::-1].index("crane")
    ids = [list(imagenet())[k] for k in (bird, machine)]
    known = Vocabulary(("crane bird", "crane", "tench"), numbers={bird: 0, machine: 1, 0: 2})
    assert match_labels([*ids, "x"], Vocabulary(known.classes, {"crane bird": ("crane",)}, known.numbers)).tolist() == [
        0,
        1,
        -1,
    ]


def test_a_class_named_by_its_synset_is_met_by_name() -> None:
    assert match_labels(["tabby", "fox"], ["n02123045"]).tolist() == [0, -1]


@pytest.mark.parametrize(("labels", "plain"), [(["dog", "cat"], True), (["dog", "Cat"], False), (["fox"], False)])
def test_labels_are_plain_where_each_is_a_classs_name_letter_by_letter(labels: list[str], plain: bool) -> None:
    assert match(labels, ["cat", "dog"]).plain is plain


def test_an_unsure_label_is_refused_with_what_it_may_mean() -> None:
    found = match(["cat", "horse"], ["tabby, tabby cat", "tiger cat", "dog"])
    with pytest.raises(DataError, match="'cat' is no class of the model, but may mean tabby, tabby cat or tiger cat"):
        found.check()
    found.check([2])  # where these classes are not asked for, it does not matter


@pytest.mark.parametrize("label", ["12", "class 11", "bear", "n02123045x"])
def test_what_resembles_no_class_is_only_unmatched(label: str) -> None:
    assert not match([label, "dog"], ["1", "class 1", "beat", "dog"]).unsure


def test_a_class_that_has_its_label_is_not_guessed_at() -> None:
    assert not match(["cat", "wild cat"], ["cat", "dog"]).unsure


def test_a_wanted_class_without_label_is_named_with_the_labels_left() -> None:
    with pytest.raises(DataError, match=r"no label of the data means the class 'dog'; .*: hund: map"):
        match(["cat", "hund"], ["cat", "dog"]).need([0, 1])


def test_what_was_found_is_said() -> None:
    said = str(match(["cat", "Tabby", "horse"], CATS))
    assert said.startswith("1 of 3 are classes of the model by name; Tabby is cat (by member's synonym);")
    assert said.endswith("no class of the model: horse")


@pytest.mark.parametrize("text", ["# ours\nhund=dog\n\ncrane=134\n", '{"hund": "dog", "crane": "134"}'])
def test_a_mapping_is_read_from_a_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text(text)
    assert read_mapping(tmp_path / "map.txt") == {"hund": "dog", "crane": "134"}


@pytest.mark.parametrize(
    ("text", "says"), [("hund dog", "write label=class"), ("{", "not a JSON"), ('{"a": []}', "maps a")]
)
def test_a_broken_mapping_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text(text)
    with pytest.raises(DataError, match=says):
        read_mapping(tmp_path / "map.txt")


def test_a_mapping_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match=r"there is no file none\.txt"):
        read_mapping("none.txt")
