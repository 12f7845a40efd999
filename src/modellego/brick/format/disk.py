"""Bricks on disk: saved whole or not at all, loaded without pickle and without running code of the file."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from modellego.brick.format.build import build_brick, encode_brick, expected_of
from modellego.brick.format.card import model_card
from modellego.brick.format.document import MAX_BYTES, dump_document, parse_document, read_json
from modellego.brick.format.folder import foreign_files, new_place, write_folder
from modellego.brick.format.limits import Limits
from modellego.brick.format.weights import MissingFileError, dump_weights, read_plain_file, read_weights
from modellego.brick.model import Assembled, Brick
from modellego.errors import FormatError

DOCUMENT, WEIGHTS, CARD = "brick.json", "model.safetensors", "README.md"
FILES = (DOCUMENT, WEIGHTS, CARD)
_log = logging.getLogger(__name__)
_TRIES = 5  # to open a directory that is being replaced at that moment


def save(brick: Brick | Assembled, path: str | Path, force: bool = False) -> Path:
    """Write a brick to a new directory `path` and return it: `brick.json`, `model.safetensors`, `README.md`.

    The same brick gives the same bytes. What is to be written is first built again from its document, so what
    saves also loads. The directory appears whole or not at all; `force` replaces one that is a brick and
    holds nothing else.

    Raises:
        FormatError: `path` is taken or cannot be written, or the brick holds something the format does not.
    """
    target = check_target(path, force)
    document, tensors = encode_brick(brick)
    text = dump_document(document)
    weights = dump_weights(tensors)
    stored = {k: t.detach().to("cpu") for k, t in tensors.items()}
    build_brick(parse_document(text), stored, Limits.of(len(text.encode()) + len(weights)))
    files = {DOCUMENT: text.encode(), WEIGHTS: weights, CARD: model_card(brick, len(weights)).encode()}
    write_folder(target, files, replace=force)
    brick.name = _name(target)
    _log.info("wrote %s: %s", target, brick)
    return target


def load(path: str | Path) -> Brick | Assembled:
    """Read a brick from its directory, on the CPU, in eval mode, its parameters wanting gradients.

    `hf:owner/name`, with `@revision` where one is meant, names one on the hub of Hugging Face (extra `hub`);
    `owner/name` alone does too, where there is no folder `owner` here.

    Nothing of the model's source is needed, nothing is unpickled and no code of the file is run: the graph is
    built from ops and layers of closed lists, after all of it has been checked.

    Raises:
        FormatError: there is no brick, it is broken, of a newer version, or holds what is not allowed.
        HubError: the hub cannot be reached or has no such brick.
    """
    folder = Path(path)
    if not os.path.lexists(folder):
        from modellego.brick.hub import hub_name, pull  # which reads what it fetched by this very function

        named = hub_name(str(path))
        if named is not None:
            return pull(*named)
        raise FormatError(f"there is no brick at {folder}")
    if not folder.is_dir():
        raise FormatError(f"{folder} is not a directory: a brick is a directory with {', '.join(FILES)}")
    try:
        for _ in range(_TRIES):
            with contextlib.suppress(MissingFileError), _opened(folder) as handle:
                return _load(handle, _name(folder))
        with _opened(folder) as handle:
            return _load(handle, _name(folder))
    except FormatError as error:
        raise FormatError(f"{folder}: {error}") from error


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int | Path]:
    """Open a directory once, so that both files are those of one brick even while another takes its name."""
    if os.open not in os.supports_dir_fd:
        yield folder
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise FormatError(f"it cannot be read: {error.strerror}") from None
    try:
        yield handle
    finally:
        os.close(handle)


def _load(folder: int | Path, name: str) -> Brick | Assembled:
    text = read_plain_file(DOCUMENT, folder, MAX_BYTES)
    document = parse_document(text)
    wanted = expected_of(document)
    stored = {name: expected for name, expected in wanted.items() if name not in document.ties}
    tensors = read_weights(WEIGHTS, folder, stored)
    brick = build_brick(document, tensors, Limits.of(len(text) + sum(t.nbytes for t in tensors.values())))
    brick.name = name
    _log.info("loaded %s", brick)
    return brick


def _name(folder: Path) -> str:
    return Path(os.path.abspath(folder)).name.removesuffix(".brick").strip()


def is_brick(path: str | Path) -> bool:
    """Say whether `path` is a directory with the `brick.json` of a brick (of any version) and weights.

    >>> is_brick("/nowhere")
    False
    """
    folder = Path(path)
    if not folder.is_dir() or not (folder / WEIGHTS).is_file():
        return False
    try:
        raw = read_json(read_plain_file(DOCUMENT, folder, MAX_BYTES), DOCUMENT)
    except FormatError:
        return False
    version = raw.get("format_version") if isinstance(raw, dict) else None
    return type(version) is int and raw.get("kind") in ("brick", "assembled") and isinstance(raw.get("classes"), list)


def check_target(path: str | Path, force: bool = False) -> Path:
    """Return the directory a brick may be written to, or refuse it before any work is done.

    Raises:
        FormatError: its parent is missing; or it exists, and `force` is not set or it is not just a brick.
    """
    target = new_place(path, force)
    if not os.path.lexists(target):
        return target
    if target.is_symlink() or not is_brick(target):
        raise FormatError(
            f"{path} exists and is not a brick: it is not replaced; choose another name or remove it yourself"
        )
    others = foreign_files(target, FILES)
    if others:
        raise FormatError(f"{path} holds {others[0]!r} beside the brick: it is not replaced; move that away first")
    return target
