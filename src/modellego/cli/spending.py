"""What a model costs, as commands print it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modellego.brick import AnyBrick


def spent(piece: "AnyBrick") -> dict[str, int]:
    """Return a model's MACs and parameters."""
    from modellego.evaluation import cost

    found = cost(piece)
    return {"macs": found.macs, "parameters": found.parameters}
