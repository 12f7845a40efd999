"""Lists of numbers on the command line."""

from modellego.errors import LegoError


def numbers(option: str, text: str, least: float, most: float) -> list[float]:
    """Read numbers with commas between them, each within bounds.

    Raises:
        LegoError: no numbers, or one out of bounds.

    >>> numbers("--points", "1,0.5", 0, 1)
    [1.0, 0.5]
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise LegoError(f"{option} {text!r} is not a list of numbers: write 0.9,0.5") from error
    for value in found:
        if not least <= value <= most:
            raise LegoError(f"{option} takes numbers from {least:g} to {most:g}, not {value:g}")
    return found
