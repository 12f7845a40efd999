"""Self-contained pages: templates read from the package, values put in safely."""

import base64
import hashlib
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


def whole_page(
    title: str, subtitle: str, body: str, *, style: str, script: str, kind: str = "", colophon: str = ""
) -> str:
    """Return a page around a body of ready-made HTML; title, subtitle and colophon are plain text.

    The page fetches nothing, and runs this style and this script and no other: its policy names their hashes.

    >>> page = whole_page("a <b>", "", "<p>c</p>", style="", script="")
    >>> "<title>a &lt;b&gt;</title>" in page, "<p>c</p>" in page, "unsafe-inline" in page
    (True, True, False)
    """
    values = {
        "policy": text(_policy(style, script)),
        "title": text(title),
        "subtitle": text(subtitle),
        "style": style,
        "script": script,
        "body": body,
        "kind": text(kind),
        "colophon": text(colophon),
    }
    return fill(read_asset("modellego.decision_routes", "page.html"), values)


def _policy(style: str, script: str) -> str:
    """Return the content security policy of a page with one style sheet and one script inside."""
    own = {"style-src": style, "script-src": script}
    hashed = (f"{what} 'sha256-{_hash(content)}'" for what, content in own.items())
    return "; ".join(["default-src 'none'", *hashed, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def _hash(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


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
