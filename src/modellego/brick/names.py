"""The strings a brick's file may hold: node names and module paths safe in generated code, and labels.

`torch.fx` writes Python source from node names and module paths, so they are held to plain identifiers here,
before a graph is built from them.
"""

import functools
import keyword
import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from torch import fx, nn

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,199}")
_MAX_PARTS = 32


@functools.cache
def _attributes() -> tuple[frozenset[str], frozenset[str]]:
    """What `nn.Module` and `fx.GraphModule` call their own: no layer may take such a name."""
    return frozenset(dir(nn.Module())), frozenset(dir(fx.GraphModule(nn.Module(), fx.Graph())))


def check_node_name(name: str) -> str:
    """Return `name` if it is a plain identifier that may name a node, else raise ValueError.

    >>> check_node_name("conv2d_1")
    'conv2d_1'
    """
    if not _IDENTIFIER.fullmatch(name) or name.startswith("__"):
        raise ValueError(f"{name[:80]!r} is not a plain identifier (letters, digits, underscores)")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name == "self":
        raise ValueError(f"{name!r} is a reserved word")
    return name


def check_path(path: str) -> str:
    """Return `path` if it is a dotted module path that is safe to install in a module, else raise ValueError.

    >>> check_path("layer1.0.conv1")
    'layer1.0.conv1'
    """
    parts = path.split(".")
    if len(parts) > _MAX_PARTS:
        raise ValueError(f"{path[:80]!r} is nested more than {_MAX_PARTS} deep")
    module_names, root_names = _attributes()
    for i, part in enumerate(parts):
        if not _PART.fullmatch(part) or part.startswith("__"):
            raise ValueError(f"{path[:80]!r} is not a module path (parts of letters, digits, _ and -, joined by dots)")
        if keyword.iskeyword(part):
            raise ValueError(f"{path[:80]!r} holds the reserved word {part!r}")
        if part in (root_names if i == 0 else module_names):
            raise ValueError(f"{path[:80]!r} holds {part!r}, which is an attribute of every module")
    return path


def check_label(text: str) -> str:
    """Return `text` if it prints on one line, else raise ValueError.

    >>> check_label("golden retriever")
    'golden retriever'
    """
    if not text.isascii() and any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text):
        raise ValueError(f"{text[:80]!a} holds control characters, invisible ones or line breaks")
    if text.isascii() and not text.isprintable():
        raise ValueError(f"{text[:80]!a} holds control characters or line breaks")
    if text != text.strip():
        raise ValueError(f"{text[:80]!r} begins or ends with a space")
    return text


def _check_text(text: str) -> str:
    if any(unicodedata.category(c) == "Cs" for c in text):
        raise ValueError("the text holds half of a surrogate pair")
    return text


NodeName = Annotated[str, AfterValidator(check_node_name)]
ModulePath = Annotated[str, AfterValidator(check_path)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(check_label)]
Text = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_check_text)]
