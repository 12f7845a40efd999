"""Training by gradient steps: the loop, its settings and its images, for every verb that trains."""

from modellego.training.augment import Augment
from modellego.training.images import Trained, train_on_images, training_images
from modellego.training.settings import Epoch, Settings

__all__ = ["Augment", "Epoch", "Settings", "Trained", "train_on_images", "training_images"]
