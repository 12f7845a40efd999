"""Names: what may become part of generated code, and what may not."""

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from modellego.brick.names import check_label, check_node_name, check_path


@pytest.mark.parametrize("name", ["x", "conv2d_1", "_a", "A9", "layer1_0"])
def test_plain_identifiers_name_nodes(name: str) -> None:
    assert check_node_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1x",
        "a.b",
        "a b",
        "a\nb",
        "a;b",
        "lambda",
        "match",
        "self",
        "__class__",
        "é",
        "x" * 201,
        "a)",
        "ａ",
        "*x",
    ],
)
def test_other_names_are_refused_for_nodes(name: str) -> None:
    with pytest.raises(ValueError, match=r"identifier|reserved"):
        check_node_name(name)


@pytest.mark.parametrize("path", ["0", "features.0", "layer1.0.conv1", "stem.block-2.weight", "_constant0"])
def test_module_paths_of_models_are_allowed(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "", ".", "a.", ".a", "a..b", "../a", "a/b", "a\\b", 'a"b', "a b", "a\n", "__class__", "a.__dict__", "a.lambda",
        "import", "forward", "graph", "code", "_modules", "a._parameters", "state_dict", "a.training", "-a",
        ".".join("a" * 33), "a" * 201, "meta", "a.forward",
    ],
)  # fmt: skip
def test_paths_that_could_harm_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"module path|reserved word|attribute|nested"):
        check_path(path)


@given(st.text(max_size=30))
def test_what_is_let_through_can_be_written_as_code(name: str) -> None:
    try:
        check_node_name(name)
    except ValueError:
        return
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert name.isascii()


@given(st.text(alphabet="ab1_.-", min_size=1, max_size=12))
def test_what_is_let_through_can_be_a_module(path: str) -> None:
    try:
        check_path(path)
    except ValueError:
        return
    for part in path.split("."):
        nn.Module().add_module(part, nn.Identity())


@pytest.mark.parametrize("text", ["a\nb", "a\0", "a\u2028b", "\ud800", " a", "a ", "\x1b[31m"])
def test_labels_are_one_printable_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"control characters|space"):
        check_label(text)


@pytest.mark.parametrize("text", ["golden retriever", "été", "猫", "a|b", "<b>", "0"])
def test_labels_may_be_any_words(text: str) -> None:
    assert check_label(text) == text


@pytest.mark.parametrize("text", ["a\u202eb", "a\u200bb", "\u2066cat", "cat\ufeff", "a\u00adb", "\x1b[31m", "a\x7f"])
def test_a_label_holds_nothing_invisible(text: str) -> None:
    with pytest.raises(ValueError, match=r"invisible|control"):
        check_label(text)
