"""The settings page of a site's API keys: made and shown once, revoked at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from auditlog.models import ApiKey, Membership, Role
from tests.book import ago, make_entry

DOOR = "/api/rest/v1/api_request_logs"


@pytest.fixture
def visitor(signed_in, administrator):
    return signed_in(administrator)


def form(visitor, **fields: object) -> dict[str, object]:
    """What a browser sends: the page's own hidden field, and a good key where `fields` say nothing else."""
    hidden = re.search(r'name="form_id" value="([^"]+)"', visitor.get("/acme/settings/keys/").text)[1]
    return {"name": "web shop", "scopes": ["ingest"], "expires": "", "form_id": hidden} | fields


def shown_secret(page: str) -> str | None:
    found = re.search(r'id="secret"[^>]*>(\w+)<', page)
    return found and found[1]


def send(client, secret: str, **headers: str):
    line = f'{{"created_at": "{ago(minutes=1).isoformat()}", "request_id": "first"}}'
    return client.post(DOOR, line, content_type="application/x-ndjson", headers={"X-FilesAPI-Key": secret, **headers})


def test_a_key_is_shown_once_and_opens_the_door(visitor, client, site):
    answer = visitor.post("/acme/settings/keys/make", form(visitor))
    secret = shown_secret(answer.text)
    assert "It is shown this once" in answer.text
    assert answer["Cache-Control"] == "no-store"
    assert send(client, secret).json()["accepted"] == 1
    assert secret not in visitor.get("/acme/settings/keys/").text
    assert secret not in str(dict(visitor.session))
    key = ApiKey.objects.get()
    assert (key.site, key.name, key.scopes, key.expires_at) == (site, "web shop", ["ingest"], None)


def test_the_line_for_a_shell_is_one_that_the_door_takes(visitor, client):
    page = visitor.post("/acme/settings/keys/make", form(visitor)).text
    command = re.search(r'id="command"[^>]*>([^<]+)<', page)[1].replace("&#x27;", "'").replace("&quot;", '"')
    assert command.startswith(f"curl http://testserver{DOOR} ")
    line, secret = re.search(r"-d '([^']+)'", command)[1], re.search(r"X-FilesAPI-Key: (\w+)'", command)[1]
    answer = client.post(DOOR, line, content_type="application/x-ndjson", headers={"X-FilesAPI-Key": secret})
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}


def test_a_key_that_may_only_read_gets_a_line_that_reads(visitor, client, site):
    make_entry(site, request_id="newest")
    page = visitor.post("/acme/settings/keys/make", form(visitor, scopes=["read"])).text
    address, secret = re.search(
        r"curl &#x27;http://testserver([^&]+)&#x27; -H &#x27;X-FilesAPI-Key: (\w+)&#", page
    ).groups()
    assert secret == shown_secret(page)
    (newest,) = client.get(address, headers={"X-FilesAPI-Key": secret}).json()
    assert newest["request_id"] == "newest"


def test_a_reload_after_making_a_key_makes_no_second_one(visitor):
    sent = form(visitor)
    assert shown_secret(visitor.post("/acme/settings/keys/make", sent).text)
    again = visitor.post("/acme/settings/keys/make", sent, follow=True)
    assert "was made before and is not shown again" in again.text
    assert ApiKey.objects.count() == 1
    assert visitor.get("/acme/settings/keys/make")["Location"] == "/acme/settings/keys/"


def test_the_last_day_ends_by_the_readers_clock(visitor):
    visitor.cookies["gatebook_zone"] = "America/New_York"
    visitor.post("/acme/settings/keys/make", form(visitor, expires="2100-06-30"))
    assert ApiKey.objects.get().expires_at == datetime(2100, 7, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "  ", "Say who uses it."),
        ("name", "n" * 101, "at most 100 characters"),
        ("name", "a\x00b", "Null characters are not allowed"),
        ("scopes", [], "Choose one at least."),
        ("scopes", ["write"], "write is not one of the available choices"),
        ("expires", "soon", "Expected a day such as 2027-06-30."),
        ("expires", "2020-01-31", "2020-01-31 is over"),
        ("expires", "9999-12-31", "more than 36,500 days ahead"),
    ],
)
def test_nonsense_makes_no_key_and_is_answered_beside_its_field(visitor, field, value, said):
    answer = visitor.post("/acme/settings/keys/make", form(visitor, **{field: value}))
    assert answer.status_code == 400
    beside = re.search(rf'data-field="{field}">(.*?)</div>', answer.text, re.DOTALL)[1]
    assert said in beside
    assert not ApiKey.objects.exists()


def test_a_revoked_key_is_refused_from_the_next_request_on(visitor, client, site):
    key, secret = ApiKey.objects.issue(site, "leaked", ["ingest"])
    assert send(client, secret).status_code == 200
    asked = visitor.get(f"/acme/settings/keys/{key.pk}/revoke")
    assert f"Revoke leaked ({key.prefix}…)?" in asked.text
    assert send(client, secret).status_code == 200  # asking is not revoking
    answer = visitor.post(f"/acme/settings/keys/{key.pk}/revoke", follow=True)
    assert "is refused from now on" in answer.text
    assert send(client, secret).status_code == 401
    revoked_at = ApiKey.objects.get().revoked_at
    assert "was revoked before" in visitor.post(f"/acme/settings/keys/{key.pk}/revoke", follow=True).text
    assert ApiKey.objects.get().revoked_at == revoked_at


def test_each_key_says_in_a_word_whether_it_is_good(visitor, site):
    ApiKey.objects.issue(site, "good", ["read"])
    ApiKey.objects.issue(site, "over", ["read"], ago(days=1))
    ApiKey.objects.issue(site, "also good", ["read"], timezone.now() + timedelta(days=1))
    ApiKey.objects.issue(site, "gone", ["read"])
    ApiKey.objects.filter(name="gone").update(revoked_at=timezone.now())
    page = visitor.get("/acme/settings/keys/").text
    rows = re.findall(r'scope="row"><bdi>([^<]+)</bdi>.*?<span class="state"[^>]*>(\w+)<', page, re.DOTALL)
    assert rows == [("also good", "active"), ("good", "active"), ("over", "expired"), ("gone", "revoked")]


def test_a_key_leads_to_the_requests_that_showed_it(visitor, site):
    key, _ = ApiKey.objects.issue(site, "web shop", ["ingest"])
    make_entry(site, request_path="/refused", api_key_id=f"gatebook:{key.pk}", api_key_prefix=key.prefix)
    make_entry(site, request_path="/of-somebody-else", api_key_id=str(key.pk), api_key_prefix=key.prefix)
    page = visitor.get("/acme/settings/keys/").text
    requests = re.search(r'href="([^"]+)">Requests', page)[1].replace("&amp;", "&")
    log = visitor.get(requests).text
    assert "/refused" in log
    assert "/of-somebody-else" not in log
    assert "successful deliveries are not in the book" in page


def test_a_parents_administrator_makes_keys_of_the_child_site_alone(visitor, child):
    visitor.post("/acme-eu/settings/keys/make", form(visitor))
    assert ApiKey.objects.get().site == child


def test_keys_of_another_site_are_out_of_reach(visitor, signed_in, stranger, site, other_site):
    theirs, _ = ApiKey.objects.issue(other_site, "theirs", ["read"])
    for number in (theirs.pk, theirs.pk + 1, 10**30):
        assert visitor.post(f"/acme/settings/keys/{number}/revoke").status_code == 404
    assert visitor.post(f"/globex/settings/keys/{theirs.pk}/revoke").status_code == 404
    assert ApiKey.objects.get().revoked_at is None
    assert "theirs" not in visitor.get("/acme/settings/keys/").text


@pytest.mark.parametrize("who", ["staff", "stranger", "child_staff"])
def test_others_neither_make_nor_revoke(request, signed_in, site, who):
    key, _ = ApiKey.objects.issue(site, "kept", ["read"])
    visitor = signed_in(request.getfixturevalue(who))
    assert visitor.post("/acme/settings/keys/make", {"name": "n", "scopes": "read", "form_id": "x"}).status_code == 404
    assert visitor.post(f"/acme/settings/keys/{key.pk}/revoke").status_code == 404
    assert list(ApiKey.objects.filter(revoked_at=None)) == [key]


def test_a_form_of_another_origin_does_nothing(signed_in, administrator, site):
    visitor = signed_in(administrator)
    visitor.handler.enforce_csrf_checks = True
    assert visitor.post("/acme/settings/keys/make", {"name": "n", "scopes": "read", "form_id": "x"}).status_code == 403
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(("who", "sees"), [("administrator", True), ("superuser", True), ("staff", False)])
@pytest.mark.parametrize("page", ["/acme/logs/", "/acme/logs/facets", "/acme/logs/entry?request=known"])
def test_the_way_to_the_settings_is_shown_to_those_who_may(request, signed_in, site, who, sees, page):
    make_entry(site, request_id="known")
    shown = signed_in(request.getfixturevalue(who)).get(page).text
    assert ('href="/acme/settings/"' in shown) is sees


def test_an_administrator_of_the_child_alone_has_its_settings_and_not_the_parents(signed_in, child_staff, child):
    Membership.objects.update(role=Role.ADMINISTRATOR)
    visitor = signed_in(child_staff)
    assert visitor.get("/acme-eu/settings/", follow=True).status_code == 200
    assert visitor.get("/acme/settings/", follow=True).status_code == 404


def test_a_hostile_name_is_shown_as_text(visitor, site):
    ApiKey.objects.issue(site, "<script>alert(1)</script>\u202e", ["read"])
    page = visitor.get("/acme/settings/keys/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩" in page
    assert "\u202e" not in page


def test_the_page_asks_the_database_a_fixed_number_of_times(visitor, site, django_assert_max_num_queries):
    for number in range(3):
        ApiKey.objects.issue(site, f"key {number}", ["read"])
    with django_assert_max_num_queries(6):  # session, user, site, keys, child sites; the capture's own
        visitor.get("/acme/settings/keys/")


def test_the_book_names_what_was_done(visitor, own_entries):
    visitor.post("/acme/settings/keys/make", form(visitor, name=""))
    made = own_entries()[-1]
    assert (made.api_name, made.request_method, made.username) == ("make_key", "POST", "alice")
    assert (made.response_code, made.error_message) == (400, "name: Say who uses it.")
    secret = shown_secret(visitor.post("/acme/settings/keys/make", form(visitor)).text)
    assert secret not in str(own_entries())
