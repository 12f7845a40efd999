"""One idea of each kind; run with `--plugin examples/plugin.py`, or import it (docs/extending.md)."""

import numpy as np
import torch

from modellego.assembly.heads.registered import calibration
from modellego.assembly.layouts import layout
from modellego.assembly.side_by_side import parallel
from modellego.data import ImageSet
from modellego.data.load import reader
from modellego.locate import criterion
from modellego.refit.methods import refit_method


@criterion("fan_out")
def fan_out(request):
    """A channel group is worth as much as the layers that read it have outputs."""
    scores = np.zeros(request.channels.n_groups)
    for reading in request.channels.readers:
        groups = np.unique(reading.in_groups[reading.in_groups >= 0])
        scores[groups] += len(reading.out_groups)
    return scores


@refit_method("match_means")
def match_means(request):
    """Shift the last bias so that the mean logits are those of the uncut network."""
    linear = [m for m in request.small.graph.modules() if isinstance(m, torch.nn.Linear)][-1]
    missing = torch.zeros_like(linear.bias)
    with torch.no_grad():
        for images in request.images:
            wanted = request.plan.network.graph(images)[:, list(request.plan.task)]
            missing += (wanted - request.small.graph(images)).sum(0)
        linear.bias += missing / len(request.images)


@calibration("centred", reads="logits")
def centred(rows, anchor, groups):
    """Shift every logit by its mean over the calibration images."""
    return anchor.weight, anchor.bias - anchor.logits(rows.columns).mean(0)


@layout("reversed_copy")
def reversed_copy(request):
    """Side by side, with a note of its own."""
    return parallel(request.bricks, request.classes, request.joint, notes=f"{request.notes} Laid out by a plugin.")


@reader("stripes")
def stripes(place):
    """Read `stripes:SIZE`: images of upright (0) and level (1) stripes."""
    size = int(place)
    upright = torch.arange(size).remainder(2).float().expand(1, size, size)
    images = torch.stack([upright, upright.transpose(1, 2)]).repeat(20, 1, 1, 1)
    return ImageSet.from_tensor(images, [0, 1] * 20, ["0", "1"])
