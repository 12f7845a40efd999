"""What a failed command says."""

import pydantic
import pytest

from modellego.cli.failures import sentence
from modellego.errors import DataError


def test_an_error_of_ours_is_its_text_in_one_line() -> None:
    assert sentence(DataError("no\n  images")) == "no images"


def test_a_system_error_names_the_file() -> None:
    assert sentence(PermissionError(13, "Permission denied", "out")) == "out: permission denied"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")]
)
def test_too_little_memory_says_what_to_do(error: Exception) -> None:
    assert "fewer" in sentence(error)


def test_a_refused_value_is_named() -> None:
    class Model(pydantic.BaseModel):
        size: int

    with pytest.raises(pydantic.ValidationError) as refused:
        Model(size="x")  # type: ignore[arg-type]
    assert sentence(refused.value).startswith("size input should be")


def test_an_unforeseen_error_says_how_to_see_more() -> None:
    assert sentence(ValueError("odd")) == "ValueError: odd (set MODELLEGO_TRACEBACK=1 to see where)"
