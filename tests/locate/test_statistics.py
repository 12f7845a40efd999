"""A layer's mean products: those of all rows at once, whatever the parts; wide layers group by group."""

import torch
from torch import nn

from modellego.leastsquares import input_rows
from modellego.locate.statistics import BLOCK, LayerStatistics

IMAGES = torch.randn(20, 5, 6, 6, generator=torch.Generator().manual_seed(0))


def test_parts_add_up_to_the_whole() -> None:
    layer = nn.Conv2d(5, 4, 3, padding=1)
    found = LayerStatistics(layer, None, 10**6, 20)
    for part in IMAGES.split([7, 1, 12]):
        found.add(part, (1, 4, 6, 6), torch.arange(len(part)), 0)
    rows = input_rows(layer, IMAGES, (6, 6), None)[0].double()
    rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
    torch.testing.assert_close(found.gram()[0], rows.T @ rows / len(rows), atol=1e-5, rtol=1e-5)


def test_groups_alone_have_the_blocks_of_the_whole() -> None:
    layer = nn.Linear(12, 3)
    x = torch.randn(50, 12)
    owned = {7: torch.arange(4), 9: torch.arange(4, 12)}
    alone, whole = LayerStatistics(layer, owned, 100, 50), LayerStatistics(layer, None, 100, 50)
    for found in (alone, whole):
        found.add(x, (1, 3), torch.arange(50), 0)
    gram = whole.gram()[0]
    for group, block in alone.blocks().items():
        torch.testing.assert_close(block, gram[owned[group]][:, owned[group]], atol=1e-6, rtol=1e-6)


def test_about_as_many_rows_as_asked_are_taken() -> None:
    found = LayerStatistics(nn.Conv2d(5, 4, 3, padding=1), None, 200, 20)
    found.add(IMAGES, (1, 4, 6, 6), torch.arange(20), 0)
    assert found._products is not None
    assert found._products.rows == 200


def test_rows_of_a_wide_layer_do_not_pile_up() -> None:
    found = LayerStatistics(nn.Linear(12, 3), {7: torch.arange(12)}, 3 * BLOCK, 3 * BLOCK)
    for _ in range(6):
        found.add(torch.randn(BLOCK // 2, 12), (1, 3), torch.arange(BLOCK // 2), 0)
        assert sum(rows.shape[1] for rows in found._waiting) < BLOCK
