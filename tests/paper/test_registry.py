"""The registry: every reproduction says what it is, and an unknown one is answered with the list."""

import pytest

from modellego.errors import LegoError
from modellego.paper import Reproduction, find, reproductions
from modellego.paper.registry import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_reproduction_says_what_it_is(name: str) -> None:
    found = find(name)
    assert isinstance(found, Reproduction)
    assert found.name == name
    assert found.title
    assert found.shows.endswith(".")
    assert found.differs.endswith(".")


def test_unknown_name_is_answered_with_all_names() -> None:
    with pytest.raises(LegoError, match=", ".join(NAMES)):
        find("nothing")


def test_list_keeps_the_order_of_the_names() -> None:
    assert tuple(reproductions()) == NAMES
