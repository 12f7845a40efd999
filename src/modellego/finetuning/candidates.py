"""The settings that fine-tuning chooses from where none are given, by the number of images."""

from typing import Any

from modellego.training import Settings

FEW, MANY = 2_000, 20_000
HELD_OUT = 300  # images: below that, an accuracy is known to no better than some per cent


def candidates(images: int, **given: Any) -> tuple[Settings, ...]:
    """Return settings to be tried on `images` training images, the boldest first; what is given holds for all.

    With few images, small steps, few of them, and batch norms that may keep the source's means and variances, which
    small batches would tell worse. With more, larger steps in more epochs; with many, the paper's beside one gentler.
    A tenth of the images is held out, but of fewer than 3,000 more: 300, at most a third.

    >>> [(s.lr, s.norms, s.epochs) for s in candidates(150)]
    [(0.001, 'train', 5), (0.0003, 'frozen', 5), (3e-05, 'frozen', 5)]
    >>> [s.lr for s in candidates(50_000)], [s.lr for s in candidates(50_000, lr=0.02)]
    ([0.01, 0.001], [0.02])
    """
    plan: tuple[dict[str, Any], ...]
    if images < FEW:
        gentle = tuple({"lr": lr, "norms": "frozen", "epochs": 5} for lr in (3e-4, 3e-5))
        plan = ({"lr": 1e-3, "norms": "train", "epochs": 5}, *gentle)
    elif images < MANY:
        plan = ({"lr": 3e-3, "norms": "train"}, {"lr": 1e-3, "norms": "train"}, {"lr": 3e-4, "norms": "frozen"})
    else:
        plan = ({"lr": 1e-2}, {"lr": 1e-3})
    share = min(1 / 3, max(0.1, HELD_OUT / max(images, 1)))
    batch = min(128, max(16, images // 8))
    found = [Settings(**{"held_out": share, "batch_size": batch} | one | given) for one in plan]
    return tuple(dict.fromkeys(found))
