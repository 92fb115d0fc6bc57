"""The description of the API in words, for the page that shows it."""

import json
from collections.abc import Iterator
from typing import Any

from collector.docs import openapi


def requests() -> Iterator[dict[str, Any]]:
    """Each request: what it is, what is sent, what may be asked, and the answers."""
    for path, methods in openapi.document()["paths"].items():
        for method, described in methods.items():
            yield {
                "title": f"{method.upper()} {path}",
                "summary": described["summary"],
                "body": _body(described),
                "example": _example(described),
                "parameters": [
                    (each["name"], kind(each["schema"]), each["description"])
                    for each in described.get("parameters", ())
                ],
                "answers": [
                    (status, answer["description"], _body({"requestBody": answer}))
                    for status, answer in described["responses"].items()
                ],
            }


def types() -> Iterator[dict[str, Any]]:
    """Each type: what it is, and its members."""
    for name, schema in openapi.schemas().items():
        yield {
            "name": name,
            "meaning": schema["description"],
            "members": [
                (member, kind(of, required=member in schema["required"]), _meaning(of))
                for member, of in schema["properties"].items()
            ],
        }


def kind(schema: dict[str, Any], *, required: bool = True) -> str:
    """A schema in words."""
    if not required:
        return f"{kind(schema)}, or left out"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    limit = f" of at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    pattern = f" like `{schema['pattern']}`" if "pattern" in schema else ""
    return str(schema.get("format", schema["type"])) + limit + pattern + _parts(schema)


def _parts(schema: dict[str, Any]) -> str:
    if "items" in schema:
        most = f", {schema['maxItems']} at most" if "maxItems" in schema else ""
        return f" of {kind(schema['items'])}{most}"
    values = schema.get("additionalProperties")
    return f" of {kind(values)} by name" if values else ""


def _meaning(schema: dict[str, Any]) -> str:
    """What a member means; a description of one of several kinds is that of all."""
    (meaning, *_) = (each.get("description", "") for each in (schema, *schema.get("anyOf", ())))
    return str(meaning)


def _body(described: dict[str, Any]) -> str:
    content = described.get("requestBody", {}).get("content", {})
    return ", ".join(
        kind(of["schema"]) if media == openapi.JSON else f"`{media}`"
        for media, of in content.items()
    )


def _example(described: dict[str, Any]) -> str:
    sent = described.get("requestBody", {}).get("content", {}).get(openapi.JSON, {})
    return json.dumps(sent.get("example"), indent=2)
