"""API keys: made at the command line, shown once, revoked by superusers."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from auditlog.models import ApiKey, Scope
from tests.book import ago


def make(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Make a key and return the last line that was said."""
    call_command("create_api_key", *arguments)
    return capsys.readouterr().out.splitlines()[-1]


def test_the_last_line_is_the_key_alone_and_only_its_hash_is_kept(site, capsys):
    secret = make(capsys, "acme", "--name", "web shop", "--scope", "ingest")
    assert secret.isalnum()
    assert secret.isascii()
    assert len(secret) == 40
    key = ApiKey.objects.with_secret(secret)
    assert (key.site, key.name, key.scopes, key.expires_at) == (site, "web shop", [Scope.INGEST], None)
    assert secret.startswith(key.prefix)
    assert secret not in str(vars(key))
    assert ApiKey.objects.with_secret(secret[:-1]) is None


def test_a_key_may_have_both_scopes_and_an_end(site, capsys):
    secret = make(capsys, "acme", "--name", "n", "--scope", "read", "--scope", "ingest", "--expires-days", "30")
    key = ApiKey.objects.with_secret(secret)
    assert key.scopes == ["ingest", "read"]
    assert ago(days=-29) < key.expires_at < ago(days=-31)


def test_two_keys_of_one_name_are_two(site, capsys):
    made = {make(capsys, "acme", "--name", "n", "--scope", "ingest") for _ in range(2)}
    assert len(made) == ApiKey.objects.count() == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--name", "n", "--scope", "ingest"), "There is no site 'nowhere'"),
        (("acme", "--name", "n"), "--scope"),
        (("acme", "--name", "n", "--scope", "write"), "invalid choice: 'write'"),
        (("acme", "--name", "", "--scope", "read"), "--name: This field cannot be blank"),
        (("acme", "--name", "n" * 101, "--scope", "read"), "--name: Ensure this value has at most 100"),
        (("acme", "--name", "n", "--scope", "read", "--expires-days", "0"), "--expires-days: 0, expected 1 to 36,500"),
    ],
)
def test_nonsense_is_refused_and_makes_no_key(site, arguments, said):
    with pytest.raises(CommandError, match=said):
        call_command("create_api_key", *arguments)
    assert not ApiKey.objects.exists()


def test_superusers_see_keys_without_their_hash_and_revoke_them(signed_in, superuser, site):
    kept, _ = ApiKey.objects.issue(site, "kept", ["read"])
    leaked, secret = ApiKey.objects.issue(site, "leaked", ["ingest"])
    visitor = signed_in(superuser)
    page = visitor.get("/admin/gatebook/apikey/").text
    assert leaked.prefix in page
    page += visitor.get(f"/admin/gatebook/apikey/{leaked.pk}/change/").text
    assert leaked.hash not in page
    assert secret not in page
    answer = visitor.post("/admin/gatebook/apikey/", {"action": "revoke", "_selected_action": leaked.pk}, follow=True)
    assert "1 API keys are refused from now on" in answer.text
    assert list(ApiKey.objects.filter(revoked_at=None)) == [kept]
    assert visitor.post(f"/admin/gatebook/apikey/{kept.pk}/delete/", {"post": "yes"}).status_code == 403


def test_administrators_of_a_site_have_no_way_into_the_administration(signed_in, administrator, site):
    assert signed_in(administrator).get("/admin/gatebook/apikey/").status_code == 302
    assert signed_in(administrator).get("/admin/gatebook/quarantinedline/").status_code == 302
