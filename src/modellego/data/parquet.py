"""Reads parquet shards in the layout of public hubs: image and label columns, class names in the schema."""

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modellego.data.decode import decode, read_plain
from modellego.data.images import ImageSet
from modellego.data.splits import TEST, TRAIN, Splits
from modellego.data.store import CacheStore, Pixels, file_stamp
from modellego.errors import DataError

IMAGE_COLUMNS = ("image", "img", "images", "picture", "photo", "pixels")
LABEL_COLUMNS = ("label", "fine_label", "labels", "class", "target", "category", "class_label", "y")
MAX_CLASSES = 1_000_000
LEAST_BYTES = 8  # of an image in a file; fewer cannot hold one, and claim rows that are not there
GROUP_BYTES = 512 << 20  # of compressed images held at a time


def shards(folder: Path) -> list[Path]:
    """The parquet files of a folder, also those in its `data`, `train`, `test`, ... folders, sorted."""
    places = [folder, *(folder / name for name in ("data", "default", *TRAIN, *TEST))]
    return sorted(p for place in places if place.is_dir() for p in place.glob("*.parquet"))


def read_parquet(path: Path) -> Splits:
    """Read a parquet file, or a folder of `train-*` and `test-*` shards.

    A single file is train, whatever its name. Shards that name no split count as train. Raises `DataError`
    for broken files, missing columns and bad labels.
    """
    if path.is_file():
        return Splits(_image_set([path]), None)
    groups: dict[str, list[Path]] = {}
    for shard in shards(path):
        groups.setdefault(_split_name(shard, path), []).append(shard)
    train = next((groups[n] for n in TRAIN if n in groups), None)
    sets = (_image_set(groups[n], test=True) for n in TEST if n in groups)
    return Splits(_image_set(train) if train else None, labelled(sets))


def labelled(sets: Iterable[ImageSet | None]) -> ImageSet | None:
    """The first set that has labels at all, else None."""
    return next((s for s in sets if s is not None), None)


def without_labels(labels: NDArray[np.int64]) -> bool:
    """Whether labels are -1 throughout, as in public test splits whose labels are kept secret."""
    return bool(len(labels)) and bool((labels == -1).all())


def _split_name(shard: Path, folder: Path) -> str:
    """Which split a shard belongs to, by its own name or its folder's."""
    for name in (shard.name, shard.parent.name if shard.parent != folder else ""):
        first = re.split(r"[-_.\d]", name.lower(), maxsplit=1)[0]
        if first in {*TRAIN, *TEST}:
            return first
    return TRAIN[0]


def _image_set(paths: Sequence[Path], test: bool = False) -> ImageSet | None:
    store = ParquetStore(paths)
    column = _column(store.schema, LABEL_COLUMNS, "label", paths[0])
    raw = pa.chunked_array([c for f in store.files for c in f.read(columns=[column])[column].chunks])
    if raw.null_count:
        raise DataError(f"{paths[0]}: {raw.null_count} images have no {column}: label or remove them")
    names = class_names(store.schema, column)
    kind = store.schema.field(column).type
    if pa.types.is_dictionary(kind):
        raw = pa.chunked_array([c.dictionary_decode() for c in raw.chunks])
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = raw.to_pylist()
        names = names or tuple(sorted(set(texts)))
        place = {name: k for k, name in enumerate(names)}
        unknown = next((i for i, text in enumerate(texts) if text not in place), None)
        if unknown is not None:
            raise DataError(f"{store.name(unknown)} has the label {texts[unknown]!r}, which is not a class name")
        labels = np.array([place[text] for text in texts], np.int64)
    elif pa.types.is_integer(kind):
        labels = raw.to_numpy().astype(np.int64)
        if test and without_labels(labels):
            return None
        if names is None and labels.max(initial=0) >= MAX_CLASSES:
            raise DataError(f"{paths[0]} has the label {labels.max()}: labels count the classes from 0")
        names = names or tuple(str(k) for k in range(int(labels.max(initial=-1)) + 1))
    else:
        raise DataError(f"{paths[0]}: the column {column} holds {kind}, not class numbers or names")
    return ImageSet.of(CacheStore(store), labels, names)


def _column(schema: pa.Schema, wanted: Sequence[str], what: str, path: Path) -> str:
    found = next((name for name in wanted if name in schema.names), None)
    if found is None and what == "image":  # any column that holds images, whatever its name
        found = next((f.name for f in schema if _is_image(f.type)), None)
    if found is None:
        raise DataError(f"{path} has no {what} column: it has {', '.join(schema.names)}; name one of them {wanted[0]}")
    return found


def _is_image(kind: pa.DataType) -> bool:
    names = [kind.field(i).name for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    return "bytes" in names


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """The class names in a schema's metadata: the JSON of `datasets`, else `class_names`, one per line."""
    metadata: dict[bytes, bytes] = schema.metadata or {}
    try:
        info: Any = json.loads(metadata.get(b"huggingface", b"{}"))
        feature = info.get("info", {}).get("features", {}).get(column, {})
        if isinstance(feature.get("names"), list):
            return tuple(str(name) for name in feature["names"])
    except (ValueError, AttributeError):
        pass  # metadata of another make: the plain list may still be there
    lines = metadata.get(b"class_names")
    return tuple(lines.decode(errors="replace").splitlines()) if lines else None


class ParquetStore:
    """Images in parquet shards; row groups are read when an image of theirs is asked for, the latest kept."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.files = []
        for path in paths:
            try:
                self.files.append(pq.ParquetFile(path, memory_map=True))
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{path} is not a complete parquet file: fetch it again ({error})") from error
        self.schema: pa.Schema = self.files[0].schema_arrow
        for path, file in zip(self.paths, self.files, strict=True):
            if file.schema_arrow.names != self.schema.names:
                raise DataError(f"{path} and {self.paths[0]} have different columns: read them one by one")
        self.column = _column(self.schema, IMAGE_COLUMNS, "image", self.paths[0])
        self.groups = [(f, g) for f, file in enumerate(self.files) for g in range(file.num_row_groups)]
        sizes = [self.files[f].metadata.row_group(g).num_rows for f, g in self.groups]
        self.starts: NDArray[np.int64] = np.cumsum([0, *sizes])
        if sum(sizes) * LEAST_BYTES > sum(path.stat().st_size for path in self.paths):
            raise DataError(f"{self.paths[0]} claims {sum(sizes)} images, more than its bytes can hold")
        self.held: OrderedDict[int, pa.Array] = OrderedDict()
        self.lock = threading.Lock()  # a file is read by one thread at a time; decoding needs no lock

    def __len__(self) -> int:
        return int(self.starts[-1])

    def _find(self, index: int) -> tuple[int, int]:
        group = int(np.searchsorted(self.starts, index, "right")) - 1
        return group, index - int(self.starts[group])

    def _group(self, group: int) -> pa.Array:
        if group not in self.held:
            file, number = self.groups[group]
            try:
                table = self.files[file].read_row_group(number, columns=[self.column])
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{self.paths[file]} is broken: fetch it again ({error})") from error
            while self.held and sum(a.nbytes for a in self.held.values()) + table.nbytes > GROUP_BYTES:
                self.held.popitem(last=False)
            self.held[group] = table[self.column].combine_chunks()
        self.held.move_to_end(group)
        return self.held[group]

    def name(self, index: int) -> str:
        """The shard and the row, counted from 0 within the shard."""
        file = self.groups[self._find(index)[0]][0]
        first = next(int(self.starts[k]) for k, (f, _) in enumerate(self.groups) if f == file)
        return f"{self.paths[file]} row {index - first}"

    def read(self, index: int) -> Pixels:
        """Decode the image of one row: bytes, or the path of a file beside the shard."""
        return decode_value(self._cell(index), self.name(index), self._folder(index))

    def stamp(self, index: int) -> str | None:
        """The shard's stamp and the row; where rows may name files instead of holding bytes, the stamp of the file."""
        group, row = self._find(index)
        file, number = self.groups[group]
        value = None if self._holds_all(file, number) else self._cell(index)
        if isinstance(value, dict) and value.get("bytes") is None:
            return file_stamp(self._folder(index) / str(value.get("path")))
        shard = file_stamp(self.paths[file])
        return None if shard is None else f"{shard}:{number}:{row}"

    def _holds_all(self, file: int, number: int) -> bool:
        """Tell from a row group's statistics whether each of its rows holds an image's bytes."""
        group = self.files[file].metadata.row_group(number)
        columns = (group.column(k) for k in range(group.num_columns))
        bytes_of = {self.column, f"{self.column}.bytes"}
        found = next((c.statistics for c in columns if c.path_in_schema in bytes_of), None)
        return found is not None and found.has_null_count and found.null_count == 0

    def _cell(self, index: int) -> object:
        group, row = self._find(index)
        with self.lock:
            cells = self._group(group)
        found: object = cells[row].as_py()
        return found

    def _folder(self, index: int) -> Path:
        return self.paths[self.groups[self._find(index)[0]][0]].parent


def decode_value(value: object, name: str, folder: Path) -> Pixels:
    """Decode one cell of an image column: bytes, or `{bytes, path}` where the path may stand alone."""
    data = value
    if isinstance(value, dict):
        data = value.get("bytes")
        path = value.get("path")
        if path and data is None:
            file = folder / str(path)
            if not file.is_file():
                raise DataError(f"{name} names the file {file}, which is not there")
            if not file.resolve().is_relative_to(folder.resolve()):
                raise DataError(f"{name} names the file {file}, which does not lie beside the shard")
            data = read_plain(file)
    if not isinstance(data, bytes):
        raise DataError(f"{name} holds no image: its image column is {type(value).__name__}, not bytes")
    return decode(data, name)
