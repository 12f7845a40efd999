"""How much logits mind errors: by the formula, on the images and projections that are drawn."""

import torch
from torch import nn

from modellego.capture import capture
from modellego.locate.sensitivity import output_metrics

TASK = [0, 2]


def test_metrics_are_the_mean_product_of_gradients_over_three_projections_of_each_image() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    images = torch.randn(5, 3)
    found = output_metrics(capture(model, (3,)), {"relu": -1}, images, TASK, batch=2, seed=7)["relu"]

    centred = model[2].weight.detach()[TASK] - model[2].weight.detach()[TASK].mean(0)
    generator = torch.Generator().manual_seed(7)
    wanted = torch.zeros(4, 4)
    for direction in torch.randn(5, 3, 2, generator=generator).transpose(0, 1):
        gradients = direction @ centred
        wanted += gradients.T @ gradients / (3 * 5)
    torch.testing.assert_close(found.float(), wanted)
