"""`BrickClassifier` in pipelines, searches and pickles; scikit-learn's own checks, as docs/notebooks.md lists them."""

import pickle
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from torch import nn

import modellego as ml
from modellego.data import ImageSet
from modellego.sources.whole import whole_brick

PAGE = Path(__file__).resolve().parents[1] / "docs" / "notebooks.md"
X, Y = load_digits(return_X_y=True)


def trained(images: ImageSet) -> ml.Brick:
    """Make a network of random features, its last layer fitted to the images: a source in a tenth of a second."""
    pixels, classes = images.images(), len(images.classes)
    x = pixels.flatten(1)
    generator = torch.Generator().manual_seed(0)
    first, last = nn.Linear(x.shape[1], 24), nn.Linear(24, classes)
    with torch.no_grad():
        weight = torch.randn(24, x.shape[1], generator=generator) / (x.std(0, correction=0) + 1e-3)
        first.weight.copy_(weight)
        first.bias.copy_(-weight @ x.mean(0))
        if classes > 1:
            fit = LogisticRegression(C=100, max_iter=2000).fit(first(x).relu().numpy(), images.labels)
            rows, shift = fit.coef_, fit.intercept_
            if classes == 2:
                rows, shift = np.vstack([-rows, rows]) / 2, np.concatenate([-shift, shift]) / 2
            last.weight.copy_(torch.from_numpy(rows))
            last.bias.copy_(torch.from_numpy(shift))
    net = nn.Sequential(nn.Flatten(), first, nn.ReLU(), last)
    return whole_brick(net, ml.Preprocess(*pixels.shape[1:]), images.classes)


class Trainer:
    """The function above, under a name that is the same in every process: the names of the tests hold it."""

    def __repr__(self) -> str:
        return "trained"

    def __call__(self, images: ImageSet) -> ml.Brick:
        return trained(images)


def checked() -> ml.BrickClassifier:
    return ml.BrickClassifier(Trainer(), value_range="data")


@parametrize_with_checks([checked()])
def test_scikit_learns_own_check(estimator: ml.BrickClassifier, check) -> None:
    check(estimator)


def test_the_list_in_the_docs_is_that_of_scikit_learn() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = re.search(r"scikit-learn ([\d.]+)'s own checks", page)
    assert written is not None
    if written[1] != sklearn.__version__:
        pytest.skip(f"the list is that of scikit-learn {written[1]}")
    listed = {name: int(times or 1) for name, times in re.findall(r"`(check_\w+)`(?: \((\d)\))?", page)}
    run = Counter(getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(checked()))
    assert listed == dict(run)


@pytest.fixture(scope="module")
def brick() -> ml.Brick:
    return trained(ImageSet.from_tensor(X.reshape(-1, 1, 8, 8) / 16, Y, [str(digit) for digit in range(10)]))


def test_a_pipeline_is_cross_validated(brick: ml.Brick) -> None:
    few = Y < 3
    line = make_pipeline(MinMaxScaler(clip=True), ml.BrickClassifier(brick, macs=0.7, refit_images=30))
    scores = cross_val_score(line, X[few], Y[few], cv=3)
    assert scores.min() > 0.9


def test_a_search_finds_its_way_through_budgets(brick: ml.Brick) -> None:
    few = Y < 3
    search = GridSearchCV(
        ml.BrickClassifier(brick, value_range=(0, 16), refit_images=30), {"macs": [0.2, 0.9]}, cv=2, error_score="raise"
    ).fit(X[few], Y[few])
    assert search.best_params_["macs"] in (0.2, 0.9)
    assert search.best_estimator_.score(X[few], Y[few]) > 0.9


def test_fitting_is_disassembling(brick: ml.Brick) -> None:
    few = np.isin(Y, (7, 3))
    images = ImageSet.from_tensor(X[few].reshape(-1, 1, 8, 8) / 16, (Y[few] == 7).astype(int), ["3", "7"])
    fitted = ml.BrickClassifier(brick, macs=0.5, value_range=(0, 16)).fit(X[few], Y[few])
    direct = ml.disassemble(brick, images, ["name:3", "name:7"], budget=ml.Budget(macs=0.5))
    assert fitted.classes_.tolist() == [3, 7]
    assert np.array_equal(fitted.predict_proba(X[few]), direct.predict_proba(images))
    assert fitted.score(X[few], Y[few]) == np.mean(fitted.predict(X[few]) == Y[few])


def test_images_and_rows_are_the_same_to_it(brick: ml.Brick) -> None:
    few = Y < 2
    rows = ml.BrickClassifier(brick, value_range=(0, 16)).fit(X[few], Y[few])
    arrays = (X[few] / 16).reshape(-1, 8, 8)
    images = ml.BrickClassifier(brick).fit(arrays, Y[few])
    assert np.allclose(rows.predict_proba(X[few]), images.predict_proba(list(arrays)), atol=1e-6)


def test_it_is_cloned_and_pickled(brick: ml.Brick) -> None:
    few = Y < 2
    fitted = ml.BrickClassifier(brick, value_range=(0, 16)).fit(X[few], Y[few])
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    fresh = clone(fitted)
    assert fresh.get_params().keys() == fitted.get_params().keys()
    with pytest.raises(NotFittedError):
        fresh.predict(X)


def test_labels_are_names_before_they_are_indices() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    five = whole_brick(net, ml.Preprocess(1, 8, 8), ["5", "6", "7", "8", "9"])
    cats = whole_brick(net, ml.Preprocess(1, 8, 8), ["cat", "dog", "fox", "owl", "pig"])
    few = np.isin(Y, (1, 4))
    assert ml.BrickClassifier(cats, value_range=(0, 16)).fit(X[few], Y[few]).brick_.classes == ("dog", "pig")
    seven = np.isin(Y, (7, 8))
    assert ml.BrickClassifier(five, value_range=(0, 16)).fit(X[seven], Y[seven]).brick_.classes == ("7", "8")
    named = np.where(Y[few] == 1, "fox", "cat")
    assert ml.BrickClassifier(cats, value_range=(0, 16)).fit(X[few], named).brick_.classes == ("cat", "fox")


@pytest.mark.parametrize(
    ("changes", "labels", "words"),
    [
        ({"model": None}, Y, "no model to disassemble"),
        ({"value_range": (0, 1)}, Y, "say with value_range"),
        ({"image_shape": (4, 4, 1)}, Y, "not images of 4x4x1"),
        ({}, Y + 20, "neither names nor indices"),
        ({}, np.where(Y == 1, "cat", "dog"), "not a class of the model"),
    ],
)
def test_what_cannot_be_is_refused(brick: ml.Brick, changes: dict, labels: np.ndarray, words: str) -> None:
    given = {"model": brick, "value_range": (0, 16)} | changes
    with pytest.raises(ml.LegoError, match=words):
        ml.BrickClassifier(**given).fit(X[:50], labels[:50])
