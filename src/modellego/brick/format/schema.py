"""The JSON schema of `brick.json`: `python -m modellego.brick.format.schema > docs/brick.schema.json`."""

import json

from modellego.brick.format.document import ADAPTER


def schema_text() -> str:
    """Return the JSON schema (draft 2020-12) of `brick.json` as text.

    >>> json.loads(schema_text())["title"]
    'modellego brick'
    """
    schema = ADAPTER.json_schema(mode="validation")
    value = schema["$defs"]["Value"]
    value["anyOf"] = value.pop("oneOf")  # to JSON schema, unlike to pydantic, 1 is an integer and a number
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "modellego brick",
        "description": "The document of a brick, brick.json; docs/format.md says what else must hold.",
    }
    return json.dumps(head | schema, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
