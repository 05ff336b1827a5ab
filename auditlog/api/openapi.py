"""The REST door described in OpenAPI 3.1, from the declarations by which it works."""

from __future__ import annotations

from typing import Any

import msgspec

from auditlog.api.asked import DEFAULT_PER_PAGE, FILTERS, MOST_PER_PAGE, ORDERS
from auditlog.api.record import FIELDS
from auditlog.intake.http import MOST_ENTRIES
from gatebook.entry import Entry

Schema = dict[str, Any]

_KINDS: dict[str, Schema] = {
    "date-time": {"type": "string", "format": "date-time"},
    "id": {"type": ["integer", "string", "null"]},
    "string": {"type": ["string", "null"]},
    "integer": {"type": ["integer", "null"]},
    "boolean": {"type": "boolean"},
}
_TIME: Schema = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
_ADDRESS: Schema = {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
_VALUES = {
    "success": {"type": "boolean"},
    "request_ip": _ADDRESS,
    **dict.fromkeys(("created_at", "start_date", "end_date"), _TIME),
}
_MEANINGS = {
    "filter": "Equal to the value, or to one of several with commas between them.",
    "filter_prefix": "Begins with the value, or with one of several with commas between them.",
    "filter_gt": "Later than; a date is the whole of its day, here as below.",
    "filter_gteq": "From then on.",
    "filter_lt": "Earlier than.",
    "filter_lteq": "Until then.",
}
_REFUSALS = {
    "401": "No key, or not a good one",
    "403": "The key may not do this",
    "422": "A parameter is not understood, or finding this takes too long",
    "429": "The key asks too often",
    "503": "The database is away",
}
_REFUSALS_OF_ENTRIES = {
    "400": "The body is broken",
    "411": "The length is missing",
    "413": "Too many entries or bytes",
    "415": "A content type or encoding that is not read",
}
_REFUSAL = {"$ref": "#/components/schemas/Refusal"}


def description() -> Schema:
    """Return the document."""
    (entry,), components = msgspec.json.schema_components([Entry], ref_template="#/components/schemas/{name}")
    components["Entry"]["properties"]["site"] = {"type": "string", "description": "The slug of a child site"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatebook", "version": "1", "summary": "The API logs of a site"},
        "security": [{"key": []}, {"bearer": []}],
        "paths": {"/api/rest/v1/api_request_logs": {"get": _listing(), "post": _taking_in(entry)}},
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-FilesAPI-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": {"ApiRequestLog": _record(), "Refusal": _refusal(), **components},
        },
    }


def _listing() -> Schema:
    cursor = {"schema": {"type": "string"}}
    headers = dict.fromkeys(("X-Files-Cursor", "X-Files-Cursor-Next", "X-Files-Cursor-Prev"), cursor)
    records = {"type": "array", "items": {"$ref": "#/components/schemas/ApiRequestLog"}, "maxItems": MOST_PER_PAGE}
    return {
        "operationId": "list_entries",
        "summary": "A page of the entries, newest first unless said",
        "parameters": [
            _parameter("cursor", "Where to go on: a cursor of a page before.", {"type": "string"}),
            _parameter(
                "per_page",
                "Entries at a time.",
                {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE, "default": DEFAULT_PER_PAGE},
            ),
            *(_object(name, _MEANINGS[name], _filter(name, fields)) for name, fields in FILTERS.items()),
            _object("sort_by", "One field and its direction.", _sort()),
            _parameter("q", "A text in Gatebook's search language.", {"type": "string"}),
            _parameter("with_children", "The child sites too.", {"type": "boolean", "default": False}),
        ],
        "responses": {
            "200": {
                "description": "A page; the last one is without X-Files-Cursor-Next",
                "headers": headers,
                "content": {"application/json": {"schema": records}},
            },
            **_refusals(_REFUSALS),
        },
    }


def _taking_in(entry: Schema) -> Schema:
    rejection = {
        "index": {"type": "integer"},
        "field": {"type": ["string", "null"]},
        "error": {"type": "string"},
    }
    report = {
        "accepted": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "rejected": {"type": "array", "items": _whole(rejection)},
    }
    return {
        "operationId": "ingest",
        "summary": "Store entries",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "array", "items": entry, "maxItems": MOST_ENTRIES}},
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": {
                "description": "What was stored, was there before, and was not taken",
                "content": {"application/json": {"schema": _whole(report)}},
            },
            **_refusals({**_REFUSALS_OF_ENTRIES, **_REFUSALS}),
        },
    }


def _record() -> Schema:
    fields = {name: {**_KINDS[kind], "description": meaning} for name, (kind, meaning) in FIELDS.items()}
    site = {"type": "string", "description": "The slug of its site, with with_children"}
    return {**_whole(fields), "properties": {**fields, "site": site}}


def _refusal() -> Schema:
    text = {"type": "string"}
    return _whole({"error": text, "http-code": {"type": "integer"}, "instance": text, "title": text, "type": text})


def _refusals(reasons: dict[str, str]) -> Schema:
    content = {"application/json": {"schema": _REFUSAL}}
    return {status: {"description": reason, "content": content} for status, reason in reasons.items()}


def _filter(name: str, fields: tuple[str, ...]) -> Schema:
    text = {"type": "string"}
    values = {field: text if name == "filter_prefix" else _VALUES.get(field, text) for field in fields}
    return {"type": "object", "properties": values, "additionalProperties": False}


def _sort() -> Schema:
    direction = {"type": "string", "enum": ["asc", "desc"]}
    properties = dict.fromkeys(ORDERS, direction)
    return {"type": "object", "properties": properties, "additionalProperties": False, "maxProperties": 1}


def _object(name: str, meaning: str, schema: Schema) -> Schema:
    return {**_parameter(name, meaning, schema), "style": "deepObject", "explode": True}


def _parameter(name: str, meaning: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


def _whole(properties: Schema) -> Schema:
    """Return an object that has all of these members and no others."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
