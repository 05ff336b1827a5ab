"""Redaction: secrets go, the rest stays readable."""

from __future__ import annotations

import json
import re
import string
import time
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gatebook.entry import Entry, decode_entry, encode_json
from gatebook.redact import HIDDEN, Redactor

redact, redact_text = Redactor().path, Redactor().text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJlLW9mLWJvYg"


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/a?token=abc", "/a?token=[redacted]"),
        ("/a?x=1&token=abc&y=2", "/a?x=1&token=[redacted]&y=2"),
        ("/a?token=abc&token=def", "/a?token=[redacted]&token=[redacted]"),
        ("/a?TOKEN=abc", "/a?TOKEN=[redacted]"),
        ("/a?access_token=abc", "/a?access_token=[redacted]"),
        ("/a?X-Amz-Signature=0f0f&X-Amz-Date=2026", "/a?X-Amz-Signature=[redacted]&X-Amz-Date=2026"),
        ("/a?api%5Fkey=abc", "/a?api%5Fkey=[redacted]"),
        ("/a?api%255Fkey=abc", "/a?api%255Fkey=[redacted]"),
        ("/a?user[password]=abc", "/a?user[password]=[redacted]"),
        ("/a?user%5Bpassword%5D=abc", "/a?user%5Bpassword%5D=[redacted]"),
        ("/a?token[value]=abc", "/a?token[value]=[redacted]"),
        ("/a?a=1;password=abc;b=2", "/a?a=1;password=[redacted];b=2"),
        ("/a#access_token=abc&state=1", "/a#access_token=[redacted]&state=1"),
        ("/a?x=1#id_token=abc", "/a?x=1#id_token=[redacted]"),
        ("/a;jsessionid=0AF3?x=1", "/a;jsessionid=[redacted]?x=1"),
        ("/cb?code=4/0AeaYSH&scope=email", "/cb?code=[redacted]&scope=email"),
        ("/cb?code=123456", "/cb?code=[redacted]"),
        ("/a?password=a=b", "/a?password=[redacted]"),
        ("/a?next=%2Fcb%3Ftoken%3Dabc", "/a?next=/cb%3Ftoken%3D[redacted]"),
        ("/a?next=/cb?token=abc", "/a?next=/cb?token=[redacted]"),
        ("/a?x=%zz=token=abc", "/a?x=%zz=token=[redacted]"),
        ("/a?x=%zz/reset/aB3dE5gH7jK9", "/a?x=%zz/reset/[redacted]"),
        ("/a?x=%zz='password':'abc'", "/a?x=%zz='password':[redacted]"),
        ("/a?p%3Dq=1&token%3Dabc", "/a?p%3Dq=1&token%3D[redacted]"),
        (f"/a?x={JWT}", "/a?x=[redacted]"),
        (f"/verify/{JWT}/", "/verify/[redacted]/"),
        ("/reset/MQ/c2m3zu-0123456789abcdef0123456789abcdef/", "/reset/MQ/[redacted]/"),
        ("/accounts/1-c2m3zu-0123456789abcdef0123456789abcdef/", "/accounts/[redacted]/"),
        ("/a?next=%2Fa%2Fc2m3zu-0123456789abcdef0123456789abcdef", "/a?next=/a/[redacted]"),
        ("/a?t=c2m3zu-0123456789abcdef0123456789abcdef", "/a?t=[redacted]"),
        ("/token/9f8e7d6c5b4a39281706/use", "/token/[redacted]/use"),
        ("/api/tokens/0b1f0f6e-1111-4222-8333-123456789abc", "/api/tokens/[redacted]"),
        ("https://bob:hunter2@example.com/x", "https://bob:[redacted]@example.com/x"),
        ("/a?k=ghp_0123456789abcdefghij", "/a?k=[redacted]"),
        ("/a?variables=%7B%22password%22%3A%22x%22%7D", "/a?variables=%7B%22password%22:[redacted]%7D"),
        ("/a?v=%7B%22password%22%3A+%22x+y%22%7D", "/a?v=%7B%22password%22:+[redacted]%7D"),
        ('/a?v={"password":"x"}', '/a?v={"password":[redacted]}'),
        ("/a?v=%257B%2522password%2522%253A%2522x%2522%257D", "/a?v=%257B%2522password%2522:[redacted]%257D"),
        ("/a?my_signing_key=1&unlock_code=2", "/a?my_signing_key=[redacted]&unlock_code=[redacted]"),
    ],
)
def test_a_secret_is_hidden(path, hidden):
    assert redact(path) == hidden


@pytest.mark.parametrize(
    "name",
    [
        "pw",
        "pswd",
        "bearer",
        "auth_key",
        "otp_code",
        "mfa_code",
        "verification_code",
        "oauth_code",
        "user_pass",
        "passkey",
        "accesskey",
        "signing_key",
        "license_key",
        "client_key",
        "sessid",
        "x-auth",
    ],
)
def test_a_name_is_a_secret_in_paths_and_messages(name):
    assert redact(f"/a?{name}=abc") == f"/a?{name}=[redacted]"
    assert redact_text(f"sent {name}=abc") == f"sent {name}=[redacted]"


@pytest.mark.parametrize("name", ["country_code", "zip_code", "sort_key", "status_code", "primary_key", "bypass"])
def test_a_name_that_ends_like_a_secret_is_none(name):
    assert redact(f"/a?{name}=abc") == f"/a?{name}=abc"
    assert redact_text(f"sent {name}=abc") == f"sent {name}=abc"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1/files/42/",
        "/api/v1/files/?page=2&sort=-name&q=token",
        "/keys/42",
        "/api_keys/0b1f0f6e-1111-4222-8333-123456789abc",
        "/tokens/list",
        "/a?x=1;y=2#top",
        "/acme/logs/?code=400..499&status=failure",
        "/acme/logs/?-code=500,502,503&last=24h",
        "/a?empty=&token=",
        "/a?v=%7B%22page%22%3A+%22x+y%22%7D",
        "/a??=&&=",
        "/a?x=%41%20b+c",
        "/entry?at=2026-05-04T12:00:00.000001Z&request=0b1f0f6e-1111-7222-8333-123456789abc",
    ],
)
def test_the_ordinary_stays_as_it_is(path):
    assert redact(path) == path


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("bad password: hunter2", "bad password: [redacted]"),
        ('{"api_key": "abc", "page": 2}', '{"api_key": [redacted], "page": 2}'),
        ("{'password': ['x', 'y']}", "{'password': [redacted]}"),
        ("<QueryDict: {'password': ['a]b'], 'page': ['2']}>", "<QueryDict: {'password': [redacted], 'page': ['2']}>"),
        ('[("password", "x"), ("page", "2")]', '[("password", [redacted]), ("page", "2")]'),
        ("[('user[password]', 'x')]", "[('user[password]', [redacted])]"),
        ("(('password', 'x'),)", "(('password', [redacted]),)"),
        (r'{"password": "a\"b", "page": 2}', '{"password": [redacted], "page": 2}'),
        (r"{\"password\": \"x\", \"page\": 2}", r"{\"password\": [redacted], \"page\": 2}"),
        ("GET /x?token=abc failed", "GET /x?token=[redacted] failed"),
        ("Authorization: Bearer abc.def-123456", "Authorization: [redacted]"),
        ("sent Bearer abc.def-123456789 twice", "sent Bearer [redacted] twice"),
        (f"not decodable: {JWT}", "not decodable: [redacted]"),
        (
            "Reverse for 'x' with arguments '('MQ', 'c2m3zu-0123456789abcdef0123456789abcdef')' not found.",
            "Reverse for 'x' with arguments '('MQ', '[redacted]')' not found.",
        ),
        ("postgresql://gatebook:hunter2@db/x refused", "postgresql://gatebook:[redacted]@db/x refused"),
    ],
)
def test_a_secret_in_a_message_is_hidden(text, hidden):
    assert redact_text(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "No Files matches the given query.",
        "division by zero",
        "Error code: 42",
        "Basic authentication required",
        "KeyError: 'name'",
        "pass: 3, fail: 2",
        "fields ['password', 'email'] are required",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
    ],
)
def test_an_ordinary_message_stays_as_it_is(text):
    assert redact_text(text) == text


def issued(prefix: str, body: str) -> str:
    """A made-up key, put together here so that nobody who scans this file takes it for a real one."""
    return prefix + body


KEYS = [
    issued("sk_li", "ve_4eC39HqLyjWDarjtT1zdp7dc"),
    issued("whs", "ec_4eC39HqLyjWDarjtT1zdp7dc"),
    issued("gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"),
    issued("github_", "pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz"),
    issued("glp", "at-xxXXxxXXxx11xxXXxxXX"),
    issued("xo", "xb-1234567890-abcdefghijkl"),
    issued("xa", "pp-1-A012-345-abcdef0123456789"),
    issued("sk-", "proj-abcDEF0123456789abcdef"),
    issued("sk-", "ant-api03-abcDEF0123456789abcdef"),
    issued("S", "G.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr"),
    issued("np", "m_abcdefghijklmnopqrstuvwxyz0123456789"),
    issued("py", "pi-AgEIcHlwaS5vcmcCJDU3OTM1YTQ2"),
    issued("S", "K0123456789abcdef0123456789abcdef"),
    issued("123456789", ":AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"),
    issued("AI", "zaSyA1234567890abcdefghijklmnopqrstuvw"),
    issued("ya", "29.a0AfH6SMBxabcdefghij"),
    issued("dckr_", "pat_abcdefghij1234567890"),
    issued("hv", "s.CAESIabcdefghij1234567890"),
    JWT,
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:6])
@pytest.mark.parametrize("around", ["/a?x={}&y=2", "/{}/y", "got {}, bad", "x_{}", "f({})", "/a?x=%20{}%20"])
def test_a_key_is_known_by_its_shape_wherever_it_stands(key, around):
    assert key not in redact(around.format(key))
    assert key not in redact_text(around.format(key))


@pytest.mark.parametrize(
    "folder", ["reset", "password-reset", "resetPassword", "verify_email", "magic-link", "invites"]
)
def test_the_key_of_a_link_is_hidden(folder):
    assert redact(f"/{folder}/aB3dE5fG7h/") == f"/{folder}/[redacted]/"
    assert redact_text(f"no {folder} at https://x.org/{folder}/MQ/9f8e7d6c5b4a39281706") == (
        f"no {folder} at https://x.org/{folder}/MQ/[redacted]"
    )


WRITTEN_IN_MANY_WAYS = """
    signingKey clientSecret apiKey APIKey api-key api.key X-Api-Key refreshToken idToken sessionId PHPSESSID
    ASP.NET_SessionId connect.sid authCode AccountKey SharedAccessKey X-Goog-Signature AWSAccessKeyId newPassword1
    user.password user%5Bpassword%5D user%255Bpassword%255D privatekey SIGNINGKEY xsrf client_assertion codeVerifier
    inviteCode access_token[] tokens[0] key1 masterKey sign
"""


@pytest.mark.parametrize("name", WRITTEN_IN_MANY_WAYS.split())
def test_a_secret_name_is_known_however_it_is_written(name):
    assert redact(f"/a?{name}=abc") == f"/a?{name}=[redacted]"


ORDINARY = """
    page=2&sort=created_at&api=list_keys&keyboard=de&status_code=404&postcode=1234&monkey=1&author=x&tokenize=1&passenger=2
    token=undefined&password=null
    token_type=bearer&max_tokens=100&page_token=CAUQAA&nextToken=abc&signatureVersion=4&tokenExpiresAt=5
    countryCode=de&zipCode=1&barcode=2&postalCode=3&errorCode=4&primaryKey=id&secretary=bob&passwordless=1
    cookie_consent=1&authenticated=1&authority=x&oauth=1&session_count=2&code=404
    filter=name:bob,age:3&tags=a;b;c&redirect=https%3A%2F%2Fexample.com%2Fx%3Fy%3D1
"""


@pytest.mark.parametrize("query", ORDINARY.split())
def test_an_ordinary_query_string_stays_readable(query):
    assert redact(f"/a?{query}") == f"/a?{query}"


@pytest.mark.parametrize(
    "path",
    [
        "/files/0b1f0f6e-1111-4222-8333-123456789abc/download",
        "/repo/commit/3f2a1b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a",
        "/files/report%202024%20final.pdf",
        "/api/v1/namespaces/kube-system/secrets/default-token-x7k2p",
        "/tokens/my-laptop-2024-backup",
        "/verify/how-to-verify-your-account-in-five-minutes",
        "/static/verify/main.3f2a1b9c8d7e.js",
        "/reset/2024-report",
        "/sk-bratislava-old-town-hotel-2024/",
    ],
)
def test_an_ordinary_path_stays_readable(path):
    assert redact(path) == path
    assert redact_text(path) == path


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ('Authorization: Digest username="bob", response="x"', "Authorization: [redacted]"),
        ("Proxy-Authorization: Basic YTpi", "Proxy-Authorization: [redacted]"),
        ("Basic Ym9iOmh1bnRlcg sent", "Basic [redacted] sent"),
        ("Cookie: theme=dark; session=x\nHost: y", "Cookie: [redacted]\nHost: y"),
        ("{'HTTP_COOKIE': 'a=b; s=x', 'a': 1}", "{'HTTP_COOKIE': [redacted], 'a': 1}"),
        ('{"credentials": {"user": "a", "pin": {"b": "}"}}, "c": 1}', '{"credentials": [redacted], "c": 1}'),
        ("DETAIL:  Key (api_key)=(x) already exists.", "DETAIL:  Key (api_key)=[redacted] already exists."),
        ("Key (token, user_id)=(x, 5) exists", "Key (token, user_id)=[redacted] exists"),
        ("Failing row contains (1, x, null).", "Failing row contains ([redacted]"),
        ('<wsse:Password Type="t">x</wsse:Password>', '<wsse:Password Type="t">[redacted]</wsse:Password>'),
        (
            "Command '['mysql', '--password', 'x', '-v']' failed",
            "Command '['mysql', '--password', [redacted], '-v']' failed",
        ),
        ("password=SecretStr('x') y", "password=[redacted] y"),
        ("password=ab,cd, page=2", "password=[redacted], page=2"),
        ('[{"name": "DB_PASSWORD", "value": "x"}]', '[{"name": "DB_PASSWORD", "value": [redacted]}]'),
        ("password => 'x'", "password => [redacted]"),
        ("assert token == 'x'", "assert token == [redacted]"),
        ("grant_type=password&code=x&a=1", "grant_type=password&code=[redacted]&a=1"),
        ("note: password=x", "note: password=[redacted]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nrest",
            "[redacted]\nrest",
        ),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX",
            "https://hooks.slack.com/services/[redacted]",
        ),
        ("https://bob:p@ss@db/x", "https://bob:[redacted]@db/x"),
    ],
)
def test_every_way_to_write_a_secret_in_a_message(text, hidden):
    assert redact_text(text) == hidden
    assert redact_text(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "password: This field may not be blank.",
        "Invalid token.",
        "npm_config_registry_address of pypi-attestations-browser",
        "exit code=1",
        "not authorized for secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:123:secret:prod/db",
        '{"Authorization": [], "token": {}, "password": ""}',
        "KeyError: 'session'",
        '{"code": "token_not_valid", "key": "x", "token": null}',
        'duplicate key value violates unique constraint "x" DETAIL:  Key (email)=(bob@example.com) already exists.',
        'FATAL: password authentication failed for user "bob"',
        "HTTPSConnectionPool(host='api.example.com', port=443): Max retries exceeded with url: /v1/x?page=2",
        "No such file or directory: '/srv/keys/prod.pem'",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ],
)
def test_a_message_that_only_speaks_of_secrets_stays_readable(text):
    assert redact_text(text) == text


def test_a_secret_goes_on_where_a_server_might_read_on():
    assert redact("/a?password=ab;cd&x=1") == "/a?password=[redacted]&x=1"
    assert redact("/a?password=ab?cd&x=1") == "/a?password=[redacted]&x=1"


def test_a_project_can_name_its_own_secrets():
    ours = Redactor(["Membership-No", "x"])
    assert ours.path("/a?membership_no=12&X=3&y=4&x1=5") == "/a?membership_no=[redacted]&X=[redacted]&y=4&x1=5"
    assert ours.text("x=3 y=4") == "x=[redacted] y=4"


def test_a_project_can_hide_by_pattern():
    ours = Redactor(patterns=[re.compile("ACME-[0-9]{3}")])
    assert ours.path("/a/ACME-123?x=%41CME-456") == "/a/[redacted]?x=[redacted]"
    assert ours.text("no ACME-123") == "no [redacted]"


def test_a_project_can_say_what_is_no_secret():
    ours = Redactor(not_secret=["code"])
    assert ours.path("/a?code=EUR&user[code]=x&auth_code=y") == "/a?code=EUR&user[code]=x&auth_code=[redacted]"


def entry_with(**fields) -> Entry:
    return Entry(created_at=datetime(2026, 5, 4, tzinfo=UTC), **{"request_id": "r1", **fields})


@pytest.mark.parametrize(
    ("field", "text", "hidden"),
    [
        ("username", "bob:hunter2", "bob:[redacted]"),
        ("impersonator_username", "alice:hunter2", "alice:[redacted]"),
        ("user_id", JWT, "[redacted]"),
        ("api_key_id", KEYS[0], "[redacted]"),
        ("api_key_prefix", "ab12cd34" + "x" * 24, "ab12cd34[redacted]"),
        ("api_name", "f?token=x", "f?token=[redacted]"),
        ("request_method", "token=x", "token=[redacted]"),
        ("request_path", "/a?token=x", "/a?token=[redacted]"),
        ("request_host", "bob:hunter2@example.com", "[redacted]@example.com"),
        ("user_agent", "curl token=x", "curl token=[redacted]"),
        ("error_type", "Bad token=x", "Bad token=[redacted]"),
        ("error_message", "password: x", "password: [redacted]"),
        ("details", {"note": "pwd=x", "token": "x"}, {"note": "pwd=[redacted]", "token": "[redacted]"}),
        ("details", {"attempted_username": "bob:x"}, {"attempted_username": "bob:[redacted]"}),
        ("details", {"token=x": "y"}, {"token=[redacted]": "[redacted]"}),
    ],
)
def test_a_secret_is_hidden_in_whichever_field_it_is(field, text, hidden):
    before = entry_with(**{"error_message": "gone", "request_path": "/a", field: text})
    assert Redactor().entry(before) == replace(before, **{field: hidden})


IDS_WITH_A_SECRET = [
    "key-{:032x}",
    "SK{:032x}",
    "{:032x}-us1",
    "npm_{:032x}",
    "1//0{:032x}",
    "/reset/{:032x}",
    "token={:x}",
    "https://bob:{:06}@example.com/x",
    "password={:x}" + "&password=1" * 15,
    "a" * 190 + " token={:x}",
    "=npm_{:032x}?x",
]


@pytest.mark.parametrize("form", IDS_WITH_A_SECRET)
def test_request_ids_that_differ_in_a_secret_stay_distinct_and_equal_ones_equal(form):
    ours = Redactor()
    one, other = (ours.entry(entry_with(request_id=form.format(number))).request_id for number in (1, 2))
    assert HIDDEN in one
    assert HIDDEN in other
    assert one != other
    assert one == Redactor().entry(entry_with(request_id=form.format(1))).request_id


@pytest.mark.parametrize("form", IDS_WITH_A_SECRET)
def test_a_request_id_without_its_secret_passes_the_next_door_as_it_is(form):
    once = Redactor().entry(entry_with(request_id=form.format(1)))
    assert Redactor().entry(decode_entry(encode_json(once))) == once


def test_what_a_request_id_keeps_of_a_password_is_worth_nothing_without_the_key(settings):
    entry = entry_with(request_id="password=hunter2")
    ours = Redactor().entry(entry).request_id
    settings.SECRET_KEY = "another" * 10
    assert Redactor().entry(entry).request_id != ours


def test_without_a_key_for_the_digest_the_entry_is_kept(settings):
    settings.SECRET_KEY = ""
    assert Redactor().entry(entry_with(request_id="password=hunter2")).request_id == "password=[redacted]"


def test_a_request_id_that_only_looks_hidden_is_looked_at():
    for request_id in ("[redacted] token=hunter2-0123456789abcdef", "token=hunter2 [redacted]-0123456789abcdef"):
        assert "hunter2" not in Redactor().entry(entry_with(request_id=request_id)).request_id


@pytest.mark.parametrize("field", ["request_id", "user_id", "username", "impersonator_user_id", "api_key_id"])
@pytest.mark.parametrize("name", ["gateway", "worker", "tenant01", "eu-client", "acme.worker"])
def test_an_id_of_a_word_and_hexadecimal_digits_is_no_link(name, field):
    entry = entry_with(**{field: f"{name}-0123456789abcdef0123456789abcdef"})
    assert Redactor().entry(entry) is entry


@pytest.mark.parametrize(
    "username",
    ["bob", "gatebook:5", "system:node", "oidc:bob", "acme:bob@example.com", "@bob:example.org", "a:b:c", "bob:", ":x"],
)
def test_a_username_that_holds_no_password_stays(username):
    assert Redactor().entry(entry_with(username=username)).username == username


def test_a_project_whose_usernames_have_colons_can_say_so():
    assert Redactor(not_secret=["username"]).entry(entry_with(username="acme:bob")).username == "acme:bob"


NAMES = """
    token password apiKey client_secret X-Amz-Signature signingKey refresh-token newPassword session_id jwt passphrase
    auth_code user[password] access_token privateKey Authorization X-Amz-Security-Token sig
"""
IN_ADDRESSES_ONLY = "key code pin session sid nonce ticket"

MARK = "Zq9"
"""Begins and ends every secret: not even a part of one may remain."""


def secrets(alphabet: str) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=3, max_size=40).map(lambda text: f"{MARK}{text}{MARK}")


plain = st.text("bdfhlmn", min_size=1, max_size=8).map("q".__add__)


def twice(text: str) -> str:
    return quote(quote(text, safe=""), safe="")


IN_ADDRESSES = [
    lambda n, v: f"/p?{n}={v}",
    lambda n, v: f"/p?a=1&{n}={v}&b=2",
    lambda n, v: f"/p?a=1;{n}={v}",
    lambda n, v: f"/p;{n}={v}?a=1",
    lambda n, v: f"/p#{n}={v}",
    lambda n, v: f"/p/{n}={v}",
    lambda n, v: f"/p?{quote_plus(n)}={quote_plus(v)}",
    lambda n, v: f"/p?{twice(n)}={twice(v)}",
    lambda n, v: f"/p?next={quote(f'https://example.com/?{n}={v}', safe='')}",
    lambda n, v: f"/p?next={twice(f'https://example.com/?{n}={v}')}",
    lambda n, v: f"https://example.com/p?next=/cb?{n}={v}",
    lambda n, v: f"GET /p?{n}={v} failed",
]
IN_TEXTS = [
    lambda n, v: f"{n}={v}",
    lambda n, v: f"{n}: {v}",
    lambda n, v: f"bad {n}={v}, page=2",
    lambda n, v: f"({n}={v})",
]
QUOTED = [
    lambda n, v: str({"a": 1, n: v}),
    lambda n, v: str([(n, v), ("a", "b")]),
    lambda n, v: str({n: [v, v]}),
    lambda n, v: json.dumps({"a": 1, n: v, "b": [2]}),
    lambda n, v: json.dumps({n: {"a": v, "b": [v]}}),
    lambda n, v: json.dumps([{"name": n, "value": v}]),
    lambda n, v: json.dumps(json.dumps({n: v})),
    lambda n, v: json.dumps(json.dumps({n: [v, {"a": v}]})),
    lambda n, v: json.dumps({"a": json.dumps({"b": json.dumps({n: v})})}),
    lambda n, v: "/p?v=" + quote_plus(json.dumps({n: v})),
    lambda n, v: "/p?v=" + twice(json.dumps({n: v})),
    lambda n, v: f"/p?{quote_plus(n)}={quote_plus(v)}",
    lambda n, v: f"/p?next={twice(f'/?{n}={quote_plus(v)}')}",
]
in_address = secrets(string.ascii_letters + string.digits + "-._~!$*,:@/()'+")
in_text = secrets(string.ascii_letters + string.digits + "-._~!$*,;@/+#?")
printable = secrets(string.printable)


@given(st.sampled_from(f"{NAMES} {IN_ADDRESSES_ONLY}".split()), in_address, st.sampled_from(IN_ADDRESSES))
def test_no_secret_survives_in_an_address(name, value, carrier):
    text = carrier(name, value)
    assert MARK not in redact(text)


@given(st.sampled_from(NAMES.split()), in_text, st.sampled_from(IN_TEXTS))
def test_no_secret_survives_in_a_text(name, value, carrier):
    assert MARK not in redact_text(carrier(name, value))


@given(st.sampled_from(NAMES.split()), printable, st.sampled_from(QUOTED))
def test_no_secret_survives_in_quotes(name, value, carrier):
    assert MARK not in redact_text(carrier(name, value))
    assert MARK not in redact(carrier(name, value))


@given(
    st.sampled_from(NAMES.split()),
    printable,
    st.sampled_from(QUOTED),
    st.sampled_from(["error_message", "user_agent", "api_name"]),
)
def test_an_entry_keeps_all_but_its_secret(name, value, carrier, field):
    before = entry_with(username="bob", response_code=403, request_path="/a?x=1", **{field: carrier(name, value)})
    after = Redactor().entry(before)
    assert MARK not in str(after)
    assert replace(after, **{field: getattr(before, field)}) == before


@given(plain, secrets(string.ascii_letters + "-._~"), st.sampled_from("&;"), st.booleans())
def test_what_is_beside_a_secret_survives(other, value, separator, is_first):
    pairs = [f"token={value}", f"{other}=1"]
    assert f"{other}=1" in redact("/p?" + separator.join(pairs if is_first else reversed(pairs)))


@given(st.lists(st.tuples(plain, st.text(string.ascii_lowercase + " /äß", max_size=12)), max_size=5))
def test_an_address_without_secrets_stays_the_same(pairs):
    path = "/a/b?" + urlencode(pairs)
    assert redact(path) == path
    assert redact_text(path) == path


@given(st.text(max_size=300))
def test_any_text_is_taken(text):
    redact(text)
    redact_text(text)


PIECES = "/ ? & = # ; % : @ . - _ [ ] ( ) \" ' \\ , + > < 2 5 token key eyJ password [redacted] Cookie Bearer x"
pieces = st.sampled_from(PIECES.split())


@given(st.lists(pieces | st.just(" "), max_size=60).map("".join))
def test_what_is_redacted_stays_as_it_is(text):
    once = redact(text)
    assert redact(once) == once
    once = redact_text(text)
    assert redact_text(once) == once


WORDS = """
    . @ - _ / : = ( " \u00e9 a Z 7 bob ab12cd aaaaaaaaaaaa a1a1a1a1a1 1234567890 0123456789abcdef0123456789abcdef
    0b1f0f6e-1111-4222-8333-123456789abc SG hvs ya29 eyJ eyJhbGci 1//0 AIza SK sk ghp_ gsk_ glpat- key- xoxb- pypi-A us1
    T1234567 B1234567 AA bot123456 services reset tokens verify-email main.js -----BEGIN PRIVATE KEY token= Basic Bearer
"""
words = st.lists(st.sampled_from(WORDS.split()) | st.sampled_from("./\n -") | st.text(max_size=14), max_size=12).map(
    "".join
)
unhurried = Redactor(patterns=[re.compile("(?!)")])
"""Looks at everything with everything: a pattern of the host's may match anywhere."""


@given(st.lists(pieces | st.sampled_from([" ", *KEYS[:3]]), min_size=1, max_size=30).map("".join))
def test_a_redacted_request_id_stays_as_it_is(text):
    once = Redactor().entry(entry_with(request_id=text))
    assert Redactor().entry(once) == once


@given(words | st.sampled_from(KEYS), words, words, words.map("/".__add__), words)
def test_what_one_look_calls_plain_holds_no_secret(request_id, username, prefix, path, name):
    entry = entry_with(
        request_id=request_id or "r1", user_id=name, username=username, api_key_prefix=prefix, request_path=path
    )
    assert Redactor().entry(entry) == unhurried.entry(entry)
    assert redact(path) == unhurried.path(path)


@pytest.mark.parametrize(
    "key",
    [
        *KEYS,
        # Of words as short as those of plain ids.
        issued("ya", "29.abcdefghij"),
        issued("S", "G.abcdefghij.klmnopqrst"),
        "eyJhbGciOiJI.eyJhIjoxfQ.c2ln",
        issued("glp", "at-abcdefghij"),
        issued("xo", "xb-1234567890"),
        issued("xa", "pp-1-abcdefghij"),
        issued("sk", "-proj-abcDEF01234-abcdef"),
        issued("py", "pi-AgEI-cHlwaS5vc-mcCJDU3"),
        issued("GOC", "SPX-abcdefghij"),
        issued("AI", "zaSyA1-23456789-abcdefghij-klmnopqrst"),
        issued("hv", "s.CAESIabcd-efghij1234-567890"),
    ],
    ids=lambda key: key[:6],
)
@pytest.mark.parametrize("field", ["request_id", "user_id", "username", "api_key_id", "api_key_prefix", "request_path"])
def test_no_issued_key_is_plain(key, field):
    for around in ("{}", "bob.{}", "{}.bob", "bob@{}", "svc-{}", "/{}", "/a/{}/b"):
        assert key not in str(Redactor().entry(entry_with(**{field: around.format(key)})))


@pytest.mark.parametrize("username", ["bob.builder@example.com", "svc-backup"])
def test_the_ordinary_is_told_by_one_look(monkeypatch, username):
    def never(self, text):
        raise AssertionError(f"looked closely at {text!r}")

    monkeypatch.setattr(Redactor, "_anywhere", never)
    entry = entry_with(
        request_id="0b1f0f6e-1111-7222-8333-123456789abc",
        user_id="4711",
        username=username,
        api_key_prefix="ab12cd34",
        request_path="/api/rest/v1/folders/20260504",
    )
    assert Redactor().entry(entry) is entry


HOSTILE = r"""
    / eyJ eyJaaaaa. a- a_ token= password= :// a@:// a: ://a:a /token/ /reset/aaaaaaaaaa1 %25 %25%25 %2541= %3D %22
    %22eyJ a=% ? = & ; a=a=a= a&b;c?= token=a; a A1a aA ghp_ sk- sk-a 1 bot1 SG. ' " "' ' \\ \" a"] [redacted]
    token=[redacted] ( (( (a (a, (' 'password':[' ("password", password:[( password=( password=a( password={' ) , ),
    password=) password=, <a: <password> <password ] [ - -- -----BEGIN + ++a= . a.b é /services/TAAAAAAA/B
    {"name":"a","value":
"""


def seconds(text: str) -> float:
    began = time.process_time()
    redact(text)
    redact_text(text)
    redact(f"/x?{text}={text}")
    redact_text(f"password={text}")
    return time.process_time() - began


@pytest.mark.parametrize(
    "piece", [*HOSTILE.split(), '"password":[\\', " ", "a ", "sig ", "--password ", "Basic ", "Bearer a", "cookie:a\n"]
)
def test_hostile_length_costs_in_proportion(piece):
    short, long = piece * (12_500 // len(piece)), piece * (100_000 // len(piece))
    usual = min(seconds(short) for _ in range(3))
    # Eight times the length: about eight times the work, and sixty-four times where something is quadratic.
    assert any(seconds(long) < max(24 * usual, 0.1) for _ in range(3))


@pytest.mark.parametrize("piece", ["x=%zz&", '%"', "=%", "a=b=%;", "%{'a':"])
def test_text_in_which_nothing_is_encoded_is_read_once_from_end_to_end(monkeypatch, piece):
    looked_at = []
    look = Redactor._anywhere
    monkeypatch.setattr(Redactor, "_anywhere", lambda self, text: looked_at.append(text) or look(self, text))
    redact(f"/a?{piece * 500}")
    assert len(looked_at) == 1


def test_hidden_values_say_so():
    assert HIDDEN == "[redacted]"


def test_an_entry_without_secrets_stays_the_same_object():
    entry = Entry(created_at=datetime.now(UTC), request_id="r1", request_path="/a?x=1", details={"a": "b"})
    assert Redactor().entry(entry) is entry


def test_of_a_run_of_backslashes_each_is_read_once():
    short, long = ('"password":[' + "\\" * length for length in (2_000, 16_000))
    assert min(seconds(long) for _ in range(3)) < max(24 * min(seconds(short) for _ in range(3)), 0.1)


@pytest.mark.parametrize(
    ("name", "text", "secret"),
    [
        ("user_agent", "x " * 1010 + "postgres://bob:hunter2hunter2@db", "hunter2"),
        ("error_message", "x " * 2040 + "ghp_A1b2C3d4E5f6G7h8I9j0", "ghp_A1b2"),
        ("request_path", "/" + "x" * 8160 + "?next=https://bob:hunter2hunter2hunter2@db", "hunter2"),
    ],
)
def test_half_a_secret_at_the_end_of_what_was_cut_is_dropped(name, text, secret):
    cut = Entry(created_at=datetime.now(UTC), request_id="r1", **{name: text})
    assert secret in getattr(cut, name)
    safe = Redactor().entry(cut)
    assert secret not in getattr(safe, name)
    assert getattr(safe, name).startswith(text[:1000])
    told = Entry(created_at=cut.created_at, request_id="r1", details={"cut": "mine"}, **{name: text})
    assert secret not in getattr(Redactor().entry(told), name)
