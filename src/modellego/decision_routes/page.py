"""Self-contained pages: templates read from the package, values put in safely."""

import base64
import html
import json
import re
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modellego.errors import LegoError

_MARK = re.compile(r"\{\{(\w+)\}\}")


def read_asset(package: str, name: str) -> str:
    """Return a template, style or script that lies in the folder `assets` of a package."""
    return resources.files(package).joinpath("assets", name).read_text(encoding="utf-8")


def fill(template: str, values: dict[str, str]) -> str:
    """Put ready-made HTML into a template's `{{marks}}`; values are not searched for marks again.

    >>> fill("<p>{{text}}</p>", {"text": "{{text}}"})
    '<p>{{text}}</p>'
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise LegoError(f"the page template asks for {match[1]}, which was not given")
        return values[match[1]]

    return _MARK.sub(value, template)


def text(value: object) -> str:
    """Return a value as HTML text, safe inside elements and quoted attributes.

    >>> text('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return html.escape(str(value), quote=True)


def embed_json(value: Any) -> str:
    r"""Return JSON that is safe inside a `<script>` element, whatever text it holds.

    >>> print(embed_json({"name": "</script>"}))
    {"name":"\u003c/script\u003e"}
    """
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        raw = raw.replace(character, f"\\u{ord(character):04x}")
    return raw


def pack_unit(values: NDArray[np.floating]) -> str:
    """Return numbers in 0..1 as base64 of little-endian 16-bit steps of 1/65535, C order.

    >>> pack_unit(np.array([0.0, 1.0]))
    'AAD//w=='
    """
    steps = np.round(np.clip(values, 0, 1) * 65535).astype("<u2")
    return base64.b64encode(steps.tobytes()).decode("ascii")
