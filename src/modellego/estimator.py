"""`BrickClassifier`: the verb `disassemble` with the manners of scikit-learn, for pipelines and cross-validation."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import nn

from modellego.brick import Brick, is_brick, load
from modellego.data import ImageSet, match_labels
from modellego.data.given import GivenImages, image_store
from modellego.data.store import ArrayStore, Store
from modellego.disassembly.job import as_brick
from modellego.disassembly.options import REFIT_IMAGES
from modellego.disassembly.sampling import Samples
from modellego.disassembly.verb import disassemble
from modellego.errors import DataError, SourceError
from modellego.evaluation import predict_proba
from modellego.locate import Budget
from modellego.preprocess import Preprocess
from modellego.sources import load_source
from modellego.sources.whole import whole_brick

Images = GivenImages | ArrayLike
Makes = Callable[[ImageSet], nn.Module]
_ONE = (str, os.PathLike, Image.Image, torch.Tensor)


class BrickClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A brick of a trained classifier, cut for the labels that `fit` sees, as a scikit-learn classifier.

    `fit` disassembles: it cuts the model for the labels' classes and repairs the cut; nothing is trained. So the images
    of each fold of a cross-validation serve to choose and to repair, and those left out to score. Where the model
    itself was trained on these images, the scores are too good: let `model` be a function that trains it on each
    fold's own.

    Args:
        model: a brick or its directory, the name of a source model, an `nn.Module` (with `preprocess`), or a function
            that makes one of these from the training images, an `ImageSet`.
        macs: what the brick may cost, as a share of the model's MACs.
        parameters: what it may hold, as a share of the model's parameters.
        max_drop: how much accuracy it may lose; without any of the three the paper's thresholds decide.
        criterion: what ranks channels under a budget, as in `disassemble`.
        refit_images: images per class for the refit; 0 leaves the cut as it is.
        per_class: how many images per class contributions are taken from.
        preprocess: what an image goes through before the model, where that is a bare module.
        image_shape: (height, width, channels) of the images that rows of numbers hold; by default the model's own.
        value_range: what black and white are in rows of numbers, such as (0, 16); `"data"` takes the least and the
            largest number of the training rows, and clips others to them.
        random_state: of the choice of refit images.

    Images are given as `predict` takes them (paths, PIL images, arrays, tensors), or as rows of numbers
    `[n, features]`, as scikit-learn's own data sets hold them. Labels are names of the model's classes; whole numbers
    that are no names are its indices. After `fit`, `brick_` is the brick and `classes_` are the labels, sorted, a
    column of `predict_proba` each.

    Raises:
        DataError: labels that are no classes of the model, or images that do not fit.

    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
    >>> few = BrickClassifier(net, macs=0.6, preprocess=Preprocess(1, 8, 8), value_range=(0, 16))
    >>> few = few.fit(X[y < 3], y[y < 3])
    >>> few.classes_.tolist(), few.predict_proba(X[:5]).shape
    ([0, 1, 2], (5, 3))
    """

    def __init__(
        self,
        model: Brick | nn.Module | str | Makes | None = None,
        *,
        macs: float | None = None,
        parameters: float | None = None,
        max_drop: float | None = None,
        criterion: str | None = None,
        refit_images: int = REFIT_IMAGES,
        per_class: int = 50,
        preprocess: Preprocess | None = None,
        image_shape: tuple[int, int, int] | None = None,
        value_range: tuple[float, float] | Literal["data"] = (0.0, 1.0),
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.macs = macs
        self.parameters = parameters
        self.max_drop = max_drop
        self.criterion = criterion
        self.refit_images = refit_images
        self.per_class = per_class
        self.preprocess = preprocess
        self.image_shape = image_shape
        self.value_range = value_range
        self.random_state = random_state

    def fit(self, X: Images, y: ArrayLike) -> Self:
        """Cut the model for the classes of the labels `y` `[n]`, on the images `X`."""
        if self.model is None:
            raise SourceError("there is no model to disassemble: give a brick, a module or a source's name")
        whole = None if _makes(self.model) else self._opened(self.model)
        store = self._store(X, whole, fit=True)
        check_classification_targets(y)
        labels = column_or_1d(y, warn=True)
        if len(labels) != len(store):
            raise ValueError(f"there are {len(store)} images but {len(labels)} labels: give one label for each image")
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        names = [str(label) for label in self.classes_]
        images = ImageSet.of(store, numbers, names)
        if whole is None:
            whole = self._opened(self.model(images), names)  # type: ignore[operator]
        found = _classes(self.classes_, names, whole.classes)
        self.brick_ = disassemble(
            whole,
            images,
            found,
            budget=Budget(self.macs, self.parameters, None, self.max_drop),
            criterion=self.criterion,
            samples=Samples(self.per_class),
            refit_images=self.refit_images,
            mapping=dict(zip(names, found, strict=True)),
            seed=self.random_state,
        )
        return self

    def predict(self, X: Images) -> NDArray[Any]:
        """Return the likeliest label of each image, `[n]`."""
        check_is_fitted(self)
        found: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(1)]
        return found

    def predict_proba(self, X: Images) -> NDArray[np.float64]:
        """Return the probabilities of the labels, float64 `[n, labels]`, in the order of `classes_`."""
        check_is_fitted(self)
        return predict_proba(self.brick_, self._store(X, self.brick_, fit=False))

    def _opened(self, model: Any, names: Sequence[str] | None = None) -> Brick:
        if isinstance(model, str):
            opened = load(model) if is_brick(model) else None
            if opened is None:
                source = load_source(model)
                opened = whole_brick(source.model, source.preprocess, source.classes, source.name)
            model = opened
        return as_brick(model, self.preprocess, names)

    def _store(self, X: Any, model: Brick | None, fit: bool) -> Store:
        """Return images as a store: as they are, or made of rows of numbers."""
        if not _are_rows(X):
            array = X[..., None] if isinstance(X, np.ndarray) and X.ndim == 3 else X
            return image_store(array)
        rows = validate_data(self, X, reset=fit, dtype=np.float64, ensure_min_samples=1)
        if fit:
            low, high = (rows.min(), rows.max()) if self.value_range == "data" else self.value_range
            self.range_ = (float(low), float(high) if high > low else float(low) + 1)
        low, high = self.range_
        scaled = (rows - low) / (high - low)
        if self.value_range == "data":
            scaled = scaled.clip(0, 1)
        elif len(scaled) and not (scaled.min() >= 0 and scaled.max() <= 1):
            raise DataError(
                f"rows of images must lie in {low:g}..{high:g} and these go from {rows.min():g} to {rows.max():g}: "
                f"say with value_range what black and white are"
            )
        height, width, channels = self._shape(model, rows.shape[1])
        images = scaled.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        return ArrayStore(np.ascontiguousarray(images, dtype=np.float32))

    def _shape(self, model: Brick | None, features: int) -> tuple[int, int, int]:
        shape = self.image_shape
        if shape is None:
            if model is None:
                return (1, features, 1)
            c, *sides = model.frame.shape
            shape = (sides[0], sides[1], c)
        if shape[0] * shape[1] * shape[2] != features:
            size = "x".join(map(str, shape))
            raise DataError(f"rows of {features} numbers are not images of {size}: say their image_shape, (h, w, c)")
        return shape


def _makes(model: object) -> bool:
    """Tell whether this is a function that makes a model, rather than a model."""
    return callable(model) and not isinstance(model, nn.Module)


def _are_rows(X: Any) -> bool:
    """Tell rows of numbers from images.

    >>> _are_rows(np.zeros((2, 64))), _are_rows(np.zeros((2, 8, 8, 1))), _are_rows(["a.png"]), _are_rows([[0.5, 1]])
    (True, False, False, True)
    """
    if isinstance(X, np.ndarray):
        return X.ndim not in (3, 4)
    if isinstance(X, (*_ONE, Store)):
        return False
    if isinstance(X, list | tuple) and X:
        return not (isinstance(X[0], _ONE) or (isinstance(X[0], np.ndarray) and X[0].ndim > 1))
    return True


def _classes(labels: NDArray[Any], names: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return the model's class number of each label: by name, and by index where whole numbers are no names."""
    whole = np.issubdtype(labels.dtype, np.integer)
    if whole and not set(names) <= set(known):
        if labels.min() < 0 or labels.max() >= len(known):
            raise DataError(f"the labels {', '.join(names[:5])} are neither names nor indices of the model's classes")
        return [int(label) for label in labels]
    found = match_labels(names, known)
    missing = [name for name, number in zip(names, found, strict=True) if number < 0]
    if missing:
        raise DataError(f"the label {missing[0]!r} is not a class of the model, which has {', '.join(known[:5])}, ...")
    return [int(number) for number in found]
