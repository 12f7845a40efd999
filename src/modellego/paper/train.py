"""Source models trained by the command itself, checkpointed after every epoch, so that a stopped training goes on."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from modellego import zoo
from modellego.brick import Brick
from modellego.data import Data
from modellego.finetuning import finetune
from modellego.preprocess import Preprocess
from modellego.progress import Progress, silent
from modellego.sources.whole import whole_brick
from modellego.training import Augment, Settings

SHORT = 50  # epochs below which the paper's learning rate and batch size make too few and too small steps


@dataclass(frozen=True)
class Recipe:
    """How a source model is trained: SGD with Nesterov momentum 0.9, weight decay 5e-4, cosine; by default the paper's.

    `augment` is ours: the paper does not say.
    """

    network: str
    width: float = 1.0
    epochs: int = 200
    lr: float = 0.01
    batch_size: int = 256
    augment: Augment = field(default_factory=Augment)

    def file(self, dataset: str, seed: int, images: int) -> str:
        """Return the checkpoint's name: another recipe, seed or number of images has another.

        >>> Recipe("vgg16", 0.25, 5).file("cifar10", 0, 25000)
        'cifar10-vgg16-w0.25-e5-s0-n25000'
        """
        return f"{dataset}-{self.network}-w{self.width:g}-e{self.epochs}-s{seed}-n{images}"


def recipe_for(network: str, width: float, epochs: int | None) -> Recipe:
    """Return the paper's recipe; for fewer than 50 epochs one of larger and more steps, or little would be learnt.

    >>> recipe_for("vgg16", 1.0, None).lr, recipe_for("vgg16", 0.25, 8).lr
    (0.01, 0.02)
    """
    if epochs is None:
        return Recipe(network, width)
    return Recipe(network, width, epochs, 0.02, 64) if epochs < SHORT else Recipe(network, width, epochs)


def trained(
    recipe: Recipe,
    dataset: str,
    data: Data,
    preprocess: Preprocess,
    folder: Path,
    seed: int = 0,
    progress: Progress = silent,
) -> Brick:
    """Train a zoo network on a data set's train part, or take up its checkpoint in `folder`; return it whole.

    Raises:
        LegoError: the zoo has no such network.
    """
    torch.manual_seed(seed)
    shape = (preprocess.height, preprocess.width)
    model = zoo.build(recipe.network, len(data.classes), preprocess.channels, shape, recipe.width)
    name = recipe.file(dataset, seed, len(data.train))
    whole = whole_brick(model, preprocess, data.classes, name)
    settings = Settings(
        epochs=recipe.epochs,
        lr=recipe.lr,
        batch_size=recipe.batch_size,
        augment=recipe.augment,
        held_out=0.0,
        seed=seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.pt"
    done = finetune(whole, data.train, settings=settings, checkpoint=file, resume=file.is_file(), progress=progress)
    assert isinstance(done.model, Brick)
    return done.model
