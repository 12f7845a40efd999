"""Relative contributions as arrays, class by class and layer by layer: what the paper's thresholds look at."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from modellego.brick import Brick
from modellego.contribution.allocate import allocate
from modellego.contribution.stream import class_sums, reading_layers
from modellego.data import DataLike, MappingLike, load_data
from modellego.disassembly.job import as_brick, prepare
from modellego.disassembly.sampling import Samples, sample_batches
from modellego.preprocess import Preprocess
from modellego.progress import Progress, silent
from modellego.sources.whole import name_classes

ByLayer = dict[str, NDArray[np.float64]]


def contributions(
    model: nn.Module | Brick,
    data: DataLike,
    classes: str | Sequence[str | int] | None = None,
    *,
    preprocess: Preprocess | None = None,
    class_names: Sequence[str] | None = None,
    samples: Samples | None = None,
    mapping: MappingLike | None = None,
    progress: Progress = silent,
) -> dict[str, ByLayer]:
    """Return the relative contribution of every channel to every class: class -> layer -> `r_p`, float64 `[P]` in 0..1.

    A layer is named by its module path and comes in the order of the graph; its P channels are those that it reads
    (features, for a linear layer). A layer that is called again has `#2` and so on behind its name.

    Args:
        model: a brick, or any `nn.Module` that can be captured, with `preprocess`.
        data: labelled images in [0,1], or what names them; of the train part the most confident ones are taken.
        classes: `"0-2,7"`, or a list of names and indices of the model's classes; by default all.
        preprocess: what an image goes through before the model, where it is not a brick.
        class_names: the model's classes, where it is not a brick, as in `disassemble`.
        samples: from which images contributions are taken.
        mapping: data class name -> class name or index of the model, where names do not meet by themselves.
        progress: follows the choice of images and the classes.

    Raises:
        CaptureError: the model cannot be captured.
        DataError: unknown classes, a class without images, images that do not fit.

    Source: contribution aggregation and allocation (the poster's rule), Model LEGO (arXiv 2203.13453).

    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> found = contributions(net, "digits", "0-2", preprocess=Preprocess(1, 8, 8))
    >>> list(found), {layer: values.shape for layer, values in found["2"].items()}
    (['0', '1', '2'], {'0': (1,), '3': (288,)})
    """
    images = load_data(data)
    whole = as_brick(model, preprocess, class_names)
    if whole is not model and class_names is None:
        name_classes(whole, images.classes)
    wanted = list(range(len(whole.classes))) if classes is None else classes
    job = prepare(whole, images, wanted, mapping)
    batches = sample_batches(job, samples or Samples(), progress)
    layers = reading_layers(job.network, job.channels)
    names = _names({reading.node: reading.layer for reading in job.channels.readers})
    found: dict[str, ByLayer] = {}
    with progress("contribution", "classes") as update:
        for done, (label, sums) in enumerate(class_sums(job.network, batches, channel_map=job.channels), 1):
            own = {names[node]: allocate(layers[node], sums.layers[node]).cpu().numpy() for node in names}
            found[job.whole.classes[label]] = own
            update(done, len(batches))
    return found


def _names(layers: Mapping[str, str]) -> dict[str, str]:
    """Return a name for each call of a layer, by node: its path, numbered from the second call on.

    >>> _names({"conv": "conv", "conv_1": "conv", "fc": "fc"})
    {'conv': 'conv', 'conv_1': 'conv#2', 'fc': 'fc'}
    """
    calls: dict[str, int] = {}
    names = {}
    for node, layer in layers.items():
        calls[layer] = calls.get(layer, 0) + 1
        names[node] = layer if calls[layer] == 1 else f"{layer}#{calls[layer]}"
    return names
