"""Image sets: decoding on demand, choosing, merging."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modellego.data import ImageSet, load_data, merged
from modellego.data.store import CacheStore, FileStore
from modellego.errors import DataError


def tiny(classes: tuple[str, ...] = ("cat", "dog"), labels: tuple[int, ...] = (0, 1, 0)) -> ImageSet:
    """Image i has the value i / 10 everywhere."""
    values = torch.arange(len(labels)) / 10
    return ImageSet.from_tensor(values.view(-1, 1, 1, 1).expand(-1, 3, 4, 4), labels, classes)


def values(images: ImageSet) -> list[float]:
    return [round(v, 3) for v in images.images()[:, 0, 0, 0].tolist()]


@pytest.mark.parametrize("indices", [[2, 0], np.array([2, 0]), torch.tensor([2, 0]), slice(None, None, -2)])
def test_images_come_in_the_order_asked_for(indices: list[int] | slice) -> None:
    assert torch.allclose(tiny().images(indices)[:, 0, 0, 0], torch.tensor([0.2, 0.0]))


def test_bytes_are_scaled_and_floats_are_kept() -> None:
    array = np.full((1, 1, 2, 2), 51, np.uint8)
    assert ImageSet.from_tensor(array, [0], ["a"]).images().unique().item() == pytest.approx(0.2)


def test_no_images_are_an_empty_batch() -> None:
    assert tiny().images([], size=(4, 4)).shape == (0, 3, 4, 4)


def test_a_size_brings_unlike_images_together(photos: Path) -> None:
    (photos / "cat" / "0.png").write_bytes((photos / "dog" / "0.png").read_bytes())
    from PIL import Image

    Image.new("L", (9, 3), 255).save(photos / "cat" / "0.png")
    images = load_data(photos).train.images(size=(8, 8))
    assert images.shape == (6, 3, 8, 8)
    torch.testing.assert_close(images[0], torch.ones(3, 8, 8))


def test_unlike_sizes_without_a_size_are_named(photos: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 3)).save(photos / "dog" / "0.png")
    data = load_data(photos).train
    assert data.common_shape is None
    with pytest.raises(DataError, match=r"cat.0\.png is 6x5, .*dog.0\.png is 3x9: give a size"):
        data.images()


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_converted(photos: Path, channels: int) -> None:
    assert load_data(photos).train.images([0], channels=channels).shape[1] == channels


def test_any_number_of_channels_in_memory() -> None:
    images = ImageSet.from_tensor(torch.rand(2, 5, 4, 4), [0, 0], ["a"])
    assert (images.images().shape, images.image_shape) == ((2, 5, 4, 4), (5, 4, 4))


def test_batches_go_through_everything_once() -> None:
    batches = list(tiny().batches(2))
    assert [x.shape[0] for x, _ in batches] == [2, 1]
    assert torch.cat([y for _, y in batches]).tolist() == [0, 1, 0]


def test_a_subset_keeps_order_and_classes() -> None:
    part = tiny().subset([2, 1])
    assert (values(part), part.labels.tolist(), part.classes) == ([0.2, 0.1], [0, 1], ("cat", "dog"))


def test_selected_classes_are_renumbered() -> None:
    part = tiny(("cat", "dog", "fox"), (0, 1, 2)).select([2, 0])
    assert (values(part), part.labels.tolist(), part.classes) == ([0.0, 0.2], [1, 0], ("fox", "cat"))


def test_counts_and_members_of_a_class() -> None:
    images = tiny(("cat", "dog", "fox"))
    assert (images.counts.tolist(), images.of_class(0).tolist()) == ([2, 1, 0], [0, 2])


def test_a_class_without_images_is_named_when_needed() -> None:
    with pytest.raises(DataError, match="class 'fox' has no images"):
        tiny(("cat", "dog", "fox")).need([0, 2])


def test_too_few_images_are_counted() -> None:
    with pytest.raises(DataError, match="class 'dog' has only 1 images"):
        tiny().need([0, 1], least=2)


def test_merging_meets_by_name() -> None:
    both = merged([tiny(("cat", "dog")), tiny(("fox", "cat"))])
    assert both.classes == ("cat", "dog", "fox")
    assert both.labels.tolist() == [0, 1, 0, 2, 0, 2]
    assert values(both) == [0.0, 0.1, 0.2] * 2


def test_a_merged_subset_of_merged_sets_finds_its_images() -> None:
    both = merged([merged([tiny(), tiny(("fox",), (0, 0))]).subset([4, 1]), tiny(("owl",), (0,))])
    assert values(both) == [0.1, 0.1, 0.0]
    assert [both.classes[k] for k in both.labels] == ["fox", "dog", "owl"]


def test_for_a_model_images_take_its_numbers_and_strangers_go() -> None:
    seen = tiny(("cat", "dog", "fox"), (0, 1, 2)).for_model(["dog", "owl", "fox"])
    assert (values(seen), seen.labels.tolist(), seen.classes) == ([0.1, 0.2], [0, 2], ("dog", "owl", "fox"))


def test_a_model_that_knows_none_of_the_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"no class of the data \(cat, dog\) is a class of the model \(owl\)"):
        tiny().for_model(["owl"])


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_outside_the_classes_is_refused(label: int) -> None:
    with pytest.raises(DataError, match=f"image 1 has label {label}.*1 of 3 images are mislabelled"):
        tiny(labels=(0, label, 1))


def test_labels_must_be_as_many_as_images() -> None:
    with pytest.raises(DataError, match="2 images but 1 labels"):
        ImageSet.from_tensor(torch.rand(2, 1, 2, 2), [0], ["a"])


def test_normalised_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"must lie in \[0,1\]"):
        ImageSet.from_tensor(torch.full((1, 1, 2, 2), -1.0), [0], ["a"])


def test_an_image_is_decoded_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load_data(photos).train
    images.images()
    monkeypatch.setattr(FileStore, "read", lambda *_: pytest.fail("decoded again"))
    assert len(images.images()) == 6


def test_the_cache_keeps_to_its_budget(photos: Path) -> None:
    store = CacheStore(FileStore(sorted((photos / "cat").iterdir())), budget=2 * 90)
    for i in (0, 1, 2, 2):
        store.read(i)
    assert sorted(store.kept) == [0, 1]
