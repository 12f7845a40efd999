"""The feed: every image of a folder of unlike sizes comes out as if it were alone, once, in order, a few at a time."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from modellego.data import ImageSet, load_data, load_image
from modellego.data import feed as feeding
from modellego.data.feed import Inputs, framed_batches
from modellego.data.store import FileStore, Pixels
from modellego.errors import DataError
from modellego.preprocess import Frame

SIZES = [(12, 12)] * 60 + [(12, 12), (20, 9), (9, 20), (31, 33), (12, 13), (5, 5)] * 4  # (height, width), odd ones late
CROP, SQUASH, WIDE = Frame((3, 12, 12), "crop"), Frame((3, 12, 12), "squash"), Frame((1, 8, 16), "crop")


def save_images(folder: Path, sizes: Sequence[tuple[int, int]], modes: Sequence[str] = ("RGB",)) -> list[Path]:
    """Write noise, an image of each size, as PNG files whose names are in order."""
    random, paths = np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for number, (height, width) in enumerate(sizes):
        mode = modes[number % len(modes)]
        shape = (height, width, 3) if mode == "RGB" else (height, width)
        paths.append(folder / f"{number:04}.png")
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(paths[-1])
    return paths


class Counted:
    """A store in memory that remembers what was read."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.pixels = [image.permute(1, 2, 0).numpy() for image in images]
        self.read_so_far: list[int] = []

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, index: int) -> str:
        return f"number {index}"

    def read(self, index: int) -> Pixels:
        self.read_so_far.append(index)
        return self.pixels[index]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 250])
@pytest.mark.parametrize("modes", [("RGB",), ("L", "RGB", "RGB")], ids=["colour", "grey and colour"])
def test_each_row_is_its_own_image_processed_alone(tmp_path: Path, batch_size: int, modes: Sequence[str]) -> None:
    paths = save_images(tmp_path, SIZES, modes)
    frames = [CROP, SQUASH, WIDE]
    found: dict[Frame, list[Tensor]] = {frame: [] for frame in frames}
    seen: list[int] = []
    for rows, shown in framed_batches(FileStore(paths), frames, batch_size):
        assert len(shown) == rows.stop - rows.start <= batch_size
        seen += range(rows.start, rows.stop)
        for frame in frames:
            found[frame].append(shown[frame])
    assert seen == list(range(len(SIZES)))
    for frame in frames:
        alone = torch.cat([frame(load_image(path)[None]) for path in paths])
        torch.testing.assert_close(torch.cat(found[frame]), alone, rtol=0, atol=1e-6)


def test_crop_keeps_the_proportions_that_squash_does_not(tmp_path: Path) -> None:
    (path,) = save_images(tmp_path, [(12, 24)])
    for frame, columns in ((CROP, slice(6, 18)), (SQUASH, slice(0, 24))):
        ((_, shown),) = framed_batches(FileStore([path]), [frame])
        part = load_image(path)[None, :, :, columns]
        assert torch.allclose(shown[frame], SQUASH(part), atol=1e-6)


def test_images_are_decoded_once_a_pass_and_at_most_a_few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "AHEAD", 4 * 144)
    store = Counted([torch.rand(3, 12, 12) for _ in range(200)])
    going = framed_batches(store, [CROP], batch_size=10)
    next(going)
    assert len(store.read_so_far) <= 10 + 1 + 4 * (feeding.THREADS + 2)
    assert sum(rows.stop - rows.start for rows, _ in going) == 190
    assert sorted(store.read_so_far) == list(range(200))


def test_few_large_images_are_held_even_behind_many_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "AHEAD", 4096)
    store = Counted([torch.rand(1, 4, 4)] * 300 + [torch.rand(1, 64, 64)] * 100)
    behind, most = 0, 0
    for rows, _ in framed_batches(store, [Frame((1, 4, 4))], batch_size=1):
        behind = rows.stop
        most = max(most, sum(number >= max(behind, 300) for number in store.read_so_far))
    assert 0 < most <= 2 * (feeding.THREADS + 2)


def test_a_batch_is_bounded_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "PIXELS", 5 * 144)
    store = Counted([torch.rand(3, 3, 3) for _ in range(12)])
    assert [len(shown) for _, shown in framed_batches(store, [WIDE, CROP])] == [5, 5, 2]


def test_images_larger_than_the_bound_come_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "PIXELS", 10)
    store = Counted([torch.rand(3, 12, 12) for _ in range(3)])
    assert [rows for rows, _ in framed_batches(store, [CROP])] == [slice(i, i + 1) for i in range(3)]


def test_the_order_is_that_of_the_images_whichever_thread_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "AHEAD", 1)

    class Slow(Counted):
        def read(self, index: int) -> Pixels:
            time.sleep(0.004 if index % 3 else 0)
            return super().read(index)

    store = Slow([torch.full((1, 2, 2), i / 100) for i in range(40)])
    rows = Inputs(store, Frame((1, 2, 2)), lambda images: images).tensor()[:, 0, 0, 0]
    assert torch.allclose(rows, torch.arange(40) / 100)


def test_large_images_are_decoded_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "AHEAD", 1)
    monkeypatch.setattr(feeding, "THREADS", 3)
    together = threading.Barrier(3)

    class Awaited(Counted):
        def read(self, index: int) -> Pixels:
            if index:  # nobody knows the size of the images before the first is read
                together.wait(timeout=5)
            return super().read(index)

    store = Awaited([torch.rand(1, 2, 2)] * 4)
    assert len(Inputs(store, Frame((1, 2, 2)), lambda images: images).tensor()) == 4


def test_a_corrupt_image_is_named_from_within_a_thread(tmp_path: Path) -> None:
    paths = save_images(tmp_path, [(12, 12)] * 30)
    paths[-1].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0029\.png cannot be decoded"):
        list(framed_batches(FileStore(paths), [CROP]))


def test_an_image_that_the_network_cannot_take_is_named() -> None:
    images = [torch.rand(3, 4, 4)] * 5 + [torch.rand(2, 4, 4)]
    with pytest.raises(DataError, match="number 5: images have 2 channels"):
        list(framed_batches(Counted(images), [CROP]))
    with pytest.raises(DataError, match=r"number 5: .*\(3, 4, 4\)"):
        list(framed_batches(Counted(images), [Frame((3, 4, 4), None)]))


def test_a_pass_may_stop_early() -> None:
    store = Counted([torch.rand(3, 600, 600) for _ in range(60)])
    next(framed_batches(store, [CROP], batch_size=2))
    count = len(store.read_so_far)
    time.sleep(0.05)
    assert len(store.read_so_far) == count < 60


def test_no_images_give_no_batches() -> None:
    nothing = ImageSet.from_tensor(torch.zeros(0, 3, 4, 4), [], ["cat"])
    assert list(framed_batches(nothing, [CROP])) == []
    assert Inputs(nothing, CROP, lambda images: images).tensor().shape == (0, 3, 12, 12)


def test_inputs_are_gone_through_as_often_as_asked(tmp_path: Path) -> None:
    save_images(tmp_path / "cat", SIZES)
    inputs = Inputs(load_data(tmp_path).train, CROP, lambda images: images * 2, 50)
    once, twice = list(inputs), list(inputs)
    assert [len(batch) for batch in once] == [50, len(SIZES) - 50]
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))
    assert torch.equal(inputs.tensor(), torch.cat(once))
    assert len(inputs) == len(SIZES)
