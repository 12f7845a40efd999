"""How wide a network is: the output channels of its layers."""

from torch import nn

from modellego.brick import Brick


def layer_widths(brick: Brick) -> dict[str, int]:
    """Return the output channels of each layer that mixes channels, by its module path in the network.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> layer_widths(whole_brick(network, Preprocess(1, 8, 8), ["a", "b"], "small"))
    {'0': 4, '3': 2}
    """
    found = {}
    for path, layer in brick.network.named_modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            found[path] = layer.out_channels
        elif isinstance(layer, nn.Linear):
            found[path] = layer.out_features
    return found
