"""Where the marks lie on paper, in inches: columns along the graph, one packed grid for each layer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modellego.decision_routes.route_graph import RouteGraph

_TOP, _HEIGHT, _MARGIN, _LANE_GAP = 1.05, 4.4, 0.5, 0.4
_BLOCK_GAP = 0.55  # rows between blocks of unlike role
_COUNTS, _PITCHES = (24, 96, 320, 768), (0.17, 0.14, 0.11, 0.085, 0.065)  # more marks stand closer
_MOST_BLOCKS = 6  # with more classes than this their private channels run on in one block


@dataclass(frozen=True)
class Card:
    """One layer on paper: its box, the pitch of its marks, and each mark's place, float64 `[channels, 2]`."""

    x: float
    y: float
    width: float
    height: float
    pitch: float
    spots: NDArray[np.float64]
    alone: bool

    @property
    def centre(self) -> float:
        """The middle of the box, left to right."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class FigureLayout:
    """All cards, the gap between columns, the height at which each name stands, and the figure's size."""

    cards: tuple[Card, ...]
    gap: float
    names: tuple[float, ...]
    size: tuple[float, float]


def lay_out(graph: RouteGraph, marks: Sequence[NDArray[np.int64]]) -> FigureLayout:
    """Place every layer and mark of a graph; `marks` are the `roles` of each layer's channels."""
    columns: list[list[int]] = [[] for _ in range(max(graph.columns) + 1)]
    for index, number in enumerate(graph.columns):
        columns[number].append(index)
    grids: dict[int, _Grid] = {}
    high = _HEIGHT
    for column in columns:
        if len(column) > 1:
            grids |= {index: _pack(marks[index], None, apart=False) for index in column}
            high = max(high, sum(grids[index].height + _LANE_GAP for index in column) - _LANE_GAP)
    for column in columns:
        if len(column) == 1:
            grids[column[0]] = _pack(marks[column[0]], high, apart=True)
    widths = [max(grids[index].width for index in column) for column in columns]
    gaps = max(1, len(columns) - 1)
    gap = min(1.6, max(0.75, (8.5 - 2 * _MARGIN - sum(widths)) / gaps))
    cards: dict[int, Card] = {}
    x = _MARGIN
    for column, width in zip(columns, widths, strict=True):
        spare = high - sum(grids[index].height for index in column) - _LANE_GAP * (len(column) - 1)
        y = _TOP + spare / len(column) / 2
        for index in column:
            grid = grids[index]
            left = x + (width - grid.width) / 2
            spots = grid.places + np.array([left, y])
            cards[index] = Card(left, y, grid.width, grid.height, grid.pitch, spots, len(column) == 1)
            y += grid.height + _LANE_GAP + spare / len(column)
        x += width + gap
    ordered = tuple(cards[index] for index in range(len(graph.layers)))
    tight = any(
        card.alone and 0.068 * min(len(layer.name), 18) > card.width + gap
        for card, layer in zip(ordered, graph.layers, strict=True)
    )
    names = tuple(
        _TOP + high + 0.25 + (0.32 if tight and column % 2 else 0.0) if card.alone else card.y + card.height + 0.16
        for card, column in zip(ordered, graph.columns, strict=True)
    )
    return FigureLayout(ordered, gap, names, (max(x - gap + _MARGIN, 5.0), _TOP + high + (0.85 if tight else 0.55)))


@dataclass(frozen=True)
class _Grid:
    places: NDArray[np.float64]
    width: float
    height: float
    pitch: float


def _pack(role: NDArray[np.int64], height: float | None, apart: bool) -> _Grid:
    """Pack one layer's marks: private, shared, unused, each block on new rows; about square if no height."""
    count = len(role)
    if count == 0:
        return _Grid(np.zeros((0, 2)), 0.07, 1.1, 0.0)
    pitch = 0.17 if count <= 24 else 0.14 if count <= 96 else 0.11 if count <= 320 else 0.085 if count <= 768 else 0.065
    pitch = pitch if apart else 0.85 * pitch
    separate = apart and len(np.unique(role[role >= 0])) <= _MOST_BLOCKS
    key = np.where(role == -1, 10**6, np.where(role == -2, 10**6 + 1, role if separate else 0))
    blocks = [np.flatnonzero(key == value) for value in np.unique(key)]
    across = 1
    while across < count:
        rows = _rows(blocks, across)
        if rows * pitch <= height if height is not None else rows <= max(6, 1.3 * across):
            break
        across += 1
    places = np.zeros((count, 2))
    y = 0.0
    for block in blocks:
        order = np.arange(len(block))
        sorted_block = block[np.argsort(role[block], kind="stable")]
        places[sorted_block, 0] = (order % across + 0.5) * pitch
        places[sorted_block, 1] = y + (order // across + 0.5) * pitch
        y += (math.ceil(len(block) / across) + _BLOCK_GAP) * pitch
    return _Grid(places, across * pitch, _rows(blocks, across) * pitch, pitch)


def _rows(blocks: Sequence[NDArray[np.int64]], across: int) -> float:
    return sum(math.ceil(len(block) / across) for block in blocks) + _BLOCK_GAP * (len(blocks) - 1)
