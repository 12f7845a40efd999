"""What every object of a brick's file is: frozen, with no unknown keys; and pydantic's complaint in one line."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Strict(BaseModel):
    """What every object of the file is: frozen, no unknown keys, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def sentence(error: ValidationError) -> str:
    """Put pydantic's first complaint into one line: where, and what."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(p) for p in first["loc"] if str(p)[:1] != "<" and p not in ("brick", "assembled"))
    message = str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more faults)" if error.error_count() > 1 else ""
    return f"{place[:200]}: {message}{more}" if place else f"{message}{more}"
