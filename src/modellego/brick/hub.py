"""Bricks on the model hub of Hugging Face, by its own library (extra `hub`): pushed with a card, loaded by name."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modellego.brick.format.disk import DOCUMENT, WEIGHTS, load, save
from modellego.brick.model import AnyBrick
from modellego.errors import HubError, LegoError, MissingExtraError

_NAME = re.compile(r"(?:hf:)?([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")


def hub_name(text: str) -> tuple[str, str | None] | None:
    """Return a name on the hub and its revision, or None where this is rather a path that is not there.

    `hf:owner/name` is one in any case; `owner/name` is one where there is no folder `owner` here, and the name does not
    end in `.brick`: else it is a slip in a path, which is nobody else's business.

    >>> hub_name("hf:me/pets@v1"), hub_name("me/pets"), hub_name("me/pets.brick"), hub_name("pets")
    (('me/pets', 'v1'), ('me/pets', None), None, None)
    """
    found = _NAME.fullmatch(text)
    if found is None or (not text.startswith("hf:") and (text.endswith(".brick") or Path(text).parent.exists())):
        return None
    return found[1], found[2]


def pull(name: str, revision: str | None = None) -> AnyBrick:
    """Load a brick from the hub: `brick.json` and the weights of one commit, checked as those of any stranger.

    Raises:
        HubError: it cannot be fetched.
        FormatError: what was fetched is no brick.
        MissingExtraError: the extra `hub` is not installed.
    """
    api = _library().HfApi()
    with _told(f"the brick {name} cannot be fetched from the hub"):
        document = Path(api.hf_hub_download(name, DOCUMENT, revision=revision))
        commit = document.parent.name  # the cache keeps each commit in a folder of that name
        weights = Path(api.hf_hub_download(name, WEIGHTS, revision=commit))
    with tempfile.TemporaryDirectory(prefix="modellego-") as folder:
        shutil.copyfile(document, Path(folder) / DOCUMENT)  # plain files: the cache holds links
        shutil.copyfile(weights, Path(folder) / WEIGHTS)
        brick = load(folder)
    brick.name = name.partition("/")[2].removesuffix(".brick")
    return brick


def push(
    brick: AnyBrick,
    repo_id: str,
    *,
    licences: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    message: str | None = None,
) -> str:
    """Write a brick to a repository of the hub, made where there is none, and return its address.

    Args:
        brick: what to push; what is said of its sources is noted in it.
        repo_id: `owner/name`.
        licences: source -> the licence of its weights, as the hub calls it (`apache-2.0`), where the brick knows none.
        origins: source -> where its weights come from: an address, `hf:owner/name`, or words such as `trained by us`.
        private: whether only its owner sees a new repository.
        token: as in `huggingface_hub`; by default that of `hf auth login`.
        revision: the branch; by default `main`.
        message: of the commit.

    Raises:
        HubError: the licence or the origin of a source is not known, or the hub does not take it.
        MissingExtraError: the extra `hub` is not installed.
    """
    if hub_name(f"hf:{repo_id}") is None or "@" in repo_id:
        raise HubError(f"{repo_id!r} is no name of a repository: write owner/name")
    hub = _library()
    brick.info = brick.info.changed(sources=_sources_told(brick, licences or {}, origins or {}))
    before = brick.name
    with tempfile.TemporaryDirectory(prefix="modellego-") as folder:
        try:
            place = save(brick, Path(folder) / repo_id.partition("/")[2])
        finally:
            brick.name = before
        with _told(f"the brick cannot be pushed to {repo_id}"):
            api = hub.HfApi(token=token)
            address = api.create_repo(repo_id, private=private, exist_ok=True)
            told = message or f"A brick of {len(brick.classes)} classes"
            api.upload_folder(repo_id=repo_id, folder_path=place, commit_message=told, revision=revision)
    return str(address)


def _sources_told(brick: AnyBrick, licences: Mapping[str, str], origins: Mapping[str, str]) -> tuple[Any, ...]:
    """Return a brick's sources with what is said of them; ask for what nobody said."""
    sources = brick.info.sources
    unknown = sorted({*licences, *origins} - {source.name for source in sources})
    if unknown:
        names = ", ".join(source.name for source in sources)
        raise HubError(f"the brick has no source {unknown[0]!r}: its sources are {names}")
    told = tuple(
        source.model_copy(
            update={
                "licence": licences.get(source.name, source.licence),
                "origin": origins.get(source.name, source.origin),
            }
        )
        for source in sources
    )
    for source in told:
        if source.licence is None:
            raise HubError(
                f"under which licence are the weights of {source.name!r}? "
                f"Say licences={{{source.name!r}: 'apache-2.0'}}, or as it is; 'unknown' where nobody can tell"
            )
        if source.origin is None:
            raise HubError(
                f"where do the weights of {source.name!r} come from? Say origins={{{source.name!r}: 'hf:owner/name'}}, "
                f"an address, or 'trained by us'"
            )
    return told


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what the hub's library raises into one sentence."""
    try:
        yield
    except LegoError:
        raise
    except Exception as error:  # of the network, the hub and its library, of many kinds
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise HubError(f"{what}: {lines[-1][:300] if lines else type(error).__name__}") from error


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub") from error
    return huggingface_hub
