"""The description of the REST door: it is true, and what it allows the door answers as it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from auditlog.api import record, turns
from auditlog.api.asked import FILTERS, ORDERS, PLAIN
from auditlog.models import ApiKey, Scope, Site
from tests.book import make_entry

PATH = "/api/rest/v1/api_request_logs"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_everybody_may_read_the_description(client, db):
    answer = client.get("/api/rest/v1/openapi.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json()["openapi"] == "3.1.0"
    assert client.post("/api/rest/v1/openapi.json").status_code == 405


def test_it_names_every_parameter_and_field_there_is(client, db):
    document = client.get("/api/rest/v1/openapi.json").json()
    described = {each["name"]: each["schema"] for each in document["paths"][PATH]["get"]["parameters"]}
    assert described.keys() == {*PLAIN, *FILTERS, "sort_by"} - {"page"}
    assert all(tuple(described[name]["properties"]) == fields for name, fields in FILTERS.items())
    assert tuple(described["sort_by"]["properties"]) == ORDERS
    assert [*document["components"]["schemas"]["ApiRequestLog"]["properties"]] == [*record.FIELDS, "site"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_description_allows_is_answered_as_it_says(
    live_server: Any, site: Site, child: Site, method: str
) -> None:
    make_entry(site, user_id="7", request_ip="192.0.2.7", response_code=404)
    make_entry(child, username="bob", error_message="No.")
    secret = ApiKey.objects.issue(site, "n", Scope.values)[1]
    described = schemathesis.openapi.from_url(f"{live_server.url}/api/rest/v1/openapi.json")
    codes = set()

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described[PATH][method].as_strategy())
    def ask(case: Any) -> None:
        turns._due.clear()
        case.headers = {**(case.headers or {}), "X-FilesAPI-Key": secret}
        case.headers.pop("Authorization", None)
        case.query.pop("cursor", None)  # none of them would be one
        answer = case.call()
        case.validate_response(answer, checks=CHECKS)
        codes.add(answer.status_code)
        assert json.loads(answer.content) is not None

    ask()
    assert 200 in codes
