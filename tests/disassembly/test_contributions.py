"""The arrays that `contributions` gives are those that the paper's thresholds look at."""

import numpy as np
import torch
from torch import nn

import modellego as ml
from modellego.disassembly.choose import by_thresholds
from modellego.disassembly.job import prepare
from modellego.disassembly.sampling import Samples, sample_batches
from modellego.progress import silent
from modellego.sources.whole import whole_brick

TEN = [str(digit) for digit in range(10)]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))


def test_thresholds_on_the_arrays_keep_what_disassemble_keeps() -> None:
    whole = whole_brick(net(), ml.Preprocess(1, 8, 8), TEN)
    found = ml.contributions(whole, "digits", "3,7", samples=Samples(20))
    job = prepare(whole, "digits", "3,7")
    kept = by_thresholds(job.network, job.channels, sample_batches(job, Samples(20), silent), ml.Thresholds())
    assert list(found) == ["3", "7"]
    for reading in job.channels.readers:
        beta = 0.3 if reading.layer == "5" else 0.2
        relevant = (found["3"][reading.layer] >= beta) | (found["7"][reading.layer] >= beta)
        mine = reading.in_groups >= 0
        assert set(reading.in_groups[mine & relevant]) <= set(np.flatnonzero(kept.keep))
    assert {layer: values.shape for layer, values in found["3"].items()} == {"0": (1,), "2": (6,), "5": (128,)}


def test_all_classes_by_default_and_a_layer_called_twice_is_there_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.block, self.head = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(144, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.block(self.block(self.stem(x)).relu()).flatten(1))

    found = ml.contributions(Twice(), "digits", preprocess=ml.Preprocess(1, 8, 8), samples=Samples(5))
    assert list(found) == TEN
    assert list(found["0"]) == ["stem", "block", "block#2", "head"]
    assert all(values.min() >= 0 and values.max() <= 1 for values in found["0"].values())
