"""The description of the API in words, for the tables of the API page."""

import json
from collections.abc import Iterator
from typing import Any

from collector.docs import openapi


def requests() -> Iterator[dict[str, Any]]:
    """Return each request with its body, its parameters and its responses."""
    for path, methods in openapi.document()["paths"].items():
        for method, operation in methods.items():
            yield {
                "title": f"{method.upper()} {path}",
                "summary": operation["summary"],
                "body": _body(operation.get("requestBody", {})),
                "example": _example(operation),
                "parameters": [
                    (each["name"], kind(each["schema"]), each["description"])
                    for each in operation.get("parameters", ())
                ],
                "responses": [
                    (status, response["description"], _body(response))
                    for status, response in operation["responses"].items()
                ],
            }


def types() -> Iterator[dict[str, Any]]:
    """Return each type with its members."""
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
    """Return a schema in words."""
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
    pattern = f" that matches `{schema['pattern']}`" if "pattern" in schema else ""
    return str(schema.get("format", schema["type"])) + limit + pattern + _parts(schema)


def _parts(schema: dict[str, Any]) -> str:
    """Return what an array or an object contains."""
    if "items" in schema:
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f" of {kind(schema['items'])}{most}"
    values = schema.get("additionalProperties")
    return f" of {kind(values)} by name" if values else ""


def _meaning(schema: dict[str, Any]) -> str:
    """Return the description of a member, or of the first of its kinds."""
    (meaning, *_) = (each.get("description", "") for each in (schema, *schema.get("anyOf", ())))
    return str(meaning)


def _body(part: dict[str, Any]) -> str:
    """Return the type of the body of a request or a response."""
    return ", ".join(
        kind(of["schema"]) if media == openapi.JSON else f"`{media}`"
        for media, of in part.get("content", {}).items()
    )


def _example(operation: dict[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get(openapi.JSON, {})
    return json.dumps(body.get("example"), indent=2)
