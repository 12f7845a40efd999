"""The fingerprint of a brick: two bricks of one fingerprint give the same logits for the same images."""

import hashlib

import torch

from modellego.brick.format.graph import encode_network
from modellego.brick.model import Brick
from modellego.errors import FormatError


def brick_fingerprint(brick: Brick) -> str | None:
    """Return the SHA-256 of a brick's graph, layers, weights and preprocessing, in hex digits; names do not count.

    None where the network holds something that has no place in the format, such as a module kept whole.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> one = whole_brick(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)), Preprocess(1, 8, 8))
    >>> before = brick_fingerprint(one)
    >>> one.network.get_parameter("1.bias").data[0] += 1
    >>> before is not None and before != brick_fingerprint(one)
    True
    """
    try:
        document, tensors = encode_network(brick.network)
    except FormatError:
        return None
    digest = hashlib.sha256(document.model_dump_json().encode())
    digest.update(f"{brick.info.input_shape} {brick.info.preprocess!r}".encode())
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
