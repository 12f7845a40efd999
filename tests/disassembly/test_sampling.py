"""Which images serve as samples: how many are looked at, and what is kept of having looked, as long as it holds."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modellego.brick import Brick
from modellego.data import ImageSet, load_data
from modellego.data.store import FileStore
from modellego.disassembly import sampling
from modellego.disassembly.kept import cache_folder, forget_unused
from modellego.disassembly.sampling import Samples, sampled
from modellego.errors import DataError
from modellego.sources.whole import name_classes

Looked = list[int]


@pytest.fixture
def files(tmp_path: Path, net: Brick) -> ImageSet:
    """Twelve images of each of three classes as files."""
    digits = load_data("digits").train
    chosen = np.concatenate([digits.of_class(k)[:12] for k in range(3)])
    paths = [tmp_path / f"{i}.png" for i in range(len(chosen))]
    for path, i in zip(paths, chosen, strict=True):
        Image.fromarray((255 * digits.images([int(i)])[0, 0].numpy()).astype(np.uint8)).save(path)
    return ImageSet.of(FileStore(paths), digits.labels[chosen], digits.classes)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Looked:
    """How many images each pass looked at, from an empty cache on."""
    monkeypatch.setenv("MODELLEGO_CACHE", str(tmp_path / "cache"))
    found: Looked = []
    real = sampling._probabilities

    def count(whole: Brick, part: ImageSet, update: Callable[[int, int], None]) -> sampling.NDArray[np.float64]:
        found.append(len(part))
        return real(whole, part, update)

    monkeypatch.setattr(sampling, "_probabilities", count)
    return found


def chosen(
    net: Brick, images: ImageSet, samples: Samples, task: tuple[int, ...] = (0, 1), seed: int = 0
) -> list[list[int]]:
    return [rows.tolist() for _, rows in sampled(net, images, task, samples, seed)]


def test_no_more_images_are_looked_at_than_asked_for(net: Brick, files: ImageSet, looked: Looked) -> None:
    found = chosen(net, files, Samples(3, candidates=5))
    assert looked == [5, 5]
    assert [len(rows) for rows in found] == [3, 3]


def test_the_seed_draws_which_images_are_looked_at(net: Brick, files: ImageSet, looked: Looked) -> None:
    first, again, other = (chosen(net, files, Samples(5, candidates=5, cache=False), seed=s) for s in (0, 0, 1))
    assert first == again
    assert sorted(first[0]) != sorted(other[0])


def test_a_second_run_looks_at_none_and_chooses_the_same(net: Brick, files: ImageSet, looked: Looked) -> None:
    first = chosen(net, files, Samples(3))
    looked.clear()
    assert chosen(net, files, Samples(3)) == first
    assert looked == []


def test_a_class_is_kept_for_itself(net: Brick, files: ImageSet, looked: Looked) -> None:
    chosen(net, files, Samples(3), (0, 1))
    looked.clear()
    chosen(net, files, Samples(3), (1, 2))
    assert looked == [12]


def test_what_is_chosen_of_a_class_does_not_depend_on_the_others(net: Brick, files: ImageSet) -> None:
    apart = Samples(4, candidates=7, cache=False)
    assert chosen(net, files, apart, (2, 0, 1))[1] == chosen(net, files, apart, (0,))[0]


def test_other_weights_are_looked_at_anew(net: Brick, files: ImageSet, looked: Looked) -> None:
    chosen(net, files, Samples(3), (0,))
    parameter = next(net.network.parameters())
    with torch.no_grad():
        parameter[0] += 1
    try:
        chosen(net, files, Samples(3), (0,))
    finally:
        with torch.no_grad():
            parameter[0] -= 1
    assert looked == [12, 12]


def test_another_image_of_the_same_size_and_date_is_looked_at(net: Brick, files: ImageSet, looked: Looked) -> None:
    chosen(net, files, Samples(3), (0,))
    assert isinstance(files.store, FileStore)
    path = files.store.paths[0]
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1][::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    chosen(net, files, Samples(3), (0,))
    assert looked == [12, 12]


def test_other_class_names_change_nothing(net: Brick, files: ImageSet, looked: Looked) -> None:
    chosen(net, files, Samples(3), (0,))
    before = net.classes
    name_classes(net, [f"number {k}" for k in range(10)])
    chosen(net, files, Samples(3), (0,))
    name_classes(net, before)
    assert looked == [12]


def test_nothing_is_kept_where_that_is_not_wanted(net: Brick, files: ImageSet, looked: Looked) -> None:
    for _ in range(2):
        chosen(net, files, Samples(3, cache=False), (0,))
    assert looked == [12, 12]
    assert not cache_folder().exists()


def test_a_broken_file_in_the_cache_is_looked_past(net: Brick, files: ImageSet, looked: Looked) -> None:
    first = chosen(net, files, Samples(3), (0,))
    for file in cache_folder().iterdir():
        file.write_bytes(file.read_bytes()[:40])
    assert chosen(net, files, Samples(3), (0,)) == first
    assert looked == [12, 12]


def test_a_cache_that_cannot_be_written_is_no_error(
    net: Brick, files: ImageSet, looked: Looked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MODELLEGO_CACHE", str(tmp_path / "file" / "cache"))
    assert chosen(net, files, Samples(3)) == chosen(net, files, Samples(3, cache=False))


def test_what_nobody_asks_for_is_removed_after_a_month(net: Brick, files: ImageSet, looked: Looked) -> None:
    chosen(net, files, Samples(3), (0, 1))
    old, young = sorted(cache_folder().iterdir())
    os.utime(old, (0, 0))
    forget_unused()
    assert list(cache_folder().iterdir()) == [young]


def test_no_candidates_are_refused() -> None:
    with pytest.raises(DataError, match="0 images per class were to be looked at"):
        Samples(candidates=0)
