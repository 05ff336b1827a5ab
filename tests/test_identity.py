"""Who a request came from."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

from config.settings import GATEBOOK as OWN
from gatebook import identity, spool
from gatebook.identity import ApiKey, Person, client_ip
from gatebook.middleware import GatebookMiddleware
from gatebook.spool import decode_line


@pytest.fixture
def trust(settings, tmp_path):
    """Trust these proxies."""

    def trust(*proxies):
        settings.GATEBOOK = {"SPOOL": tmp_path, "SHIP": False, "TRUSTED_PROXIES": proxies}

    return trust


def request_from(peer, forwarded=None):
    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    return request


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # forged: the peer is no proxy of ours
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),  # the client's own claim before the true address
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:5123", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", None),
        ("not an address", "198.51.100.1", None),
    ],
)
def test_the_client_is_who_the_trusted_proxies_saw(trust, peer, forwarded, address):
    trust("10.0.0.0/8")
    assert client_ip(request_from(peer, forwarded)) == address


def test_without_trusted_proxies_no_header_counts(trust):
    trust()
    assert client_ip(request_from("10.0.0.1", "198.51.100.1")) == "10.0.0.1"


def test_a_proxy_on_a_unix_socket_can_be_trusted(trust):
    trust("unix")
    assert client_ip(request_from("", "198.51.100.1")) == "198.51.100.1"


@given(st.text(max_size=80), st.text(",.: 0123456789abcdef[]x", max_size=80))
def test_any_header_gives_an_address_or_none(peer, forwarded):
    address = client_ip(request_from(peer, forwarded))
    assert address is None or identity.normal_address(address) == address


def test_the_user_is_the_signed_in_one():
    account = SimpleNamespace(is_authenticated=True, pk=7, get_username=lambda: "alice")
    assert identity.user(SimpleNamespace(user=account)) == Person("7", "alice")


def test_nobody_signed_in_is_no_user():
    assert identity.user(SimpleNamespace(user=SimpleNamespace(is_authenticated=False))) is None
    assert identity.user(SimpleNamespace()) is None


@pytest.mark.django_db
def test_the_impersonator_is_the_first_of_the_chain(django_user_model):
    alice = django_user_model.objects.create(username="alice")
    bob = django_user_model.objects.create(username="bob")
    request = SimpleNamespace(session={"hijack_history": [str(alice.pk), str(bob.pk)]})
    assert identity.impersonator(request) == Person(str(alice.pk), "alice")


@pytest.mark.django_db
def test_a_deleted_impersonator_is_still_named_by_id():
    assert identity.impersonator(SimpleNamespace(session={"hijack_history": ["987654"]})) == Person("987654", None)


@pytest.mark.django_db
@pytest.mark.parametrize("history", [["no number"], [{"odd": 1}], [10**30], ["a\0b"], ["None"]])
def test_an_impersonator_whose_id_is_none_of_ours_is_named_by_it(history):
    assert identity.impersonator(SimpleNamespace(session={"hijack_history": history})) == Person(str(history[0]), None)


def test_without_hijacking_nobody_impersonates():
    assert identity.impersonator(SimpleNamespace(session={})) is None
    assert identity.impersonator(SimpleNamespace()) is None


def test_a_project_without_impersonation_has_no_session_read(settings):
    class Unread:
        """Fails whoever looks."""

        def __getattr__(self, name):
            raise AssertionError("the session was read")

    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if not app.startswith("hijack")]
    assert identity.impersonator(SimpleNamespace(session=Unread())) is None


def lazily(account):
    """Be a user that is looked up when somebody asks, and fail where nobody should."""

    def look_up():
        assert account is not None, "the database was asked"
        return account

    return SimpleLazyObject(look_up)


ALICE = SimpleNamespace(is_authenticated=True, pk=7, get_username=lambda: "alice")


def test_a_lazy_user_is_looked_up_unless_the_view_has_done_so():
    assert identity.user(SimpleNamespace(user=lazily(ALICE))) == Person("7", "alice")
    assert identity.user(SimpleNamespace(user=lazily(None), _acached_user=ALICE)) == Person("7", "alice")


def test_a_user_who_is_known_stays_known_when_the_database_fails(spooled):
    def view(request):
        request.user = ALICE
        raise OperationalError("away")

    with pytest.raises(OperationalError):
        GatebookMiddleware(noting(view))(RequestFactory().get("/"))
    assert spooled()[0].entry.username == "alice"


def noting(view):
    """Tell capture of a view's exception, as Django does."""

    def noting(request):
        try:
            return view(request)
        except Exception as error:
            request.gatebook.failed(error)
            raise

    return noting


def test_a_user_without_a_username_is_known_by_id():
    assert identity.user(SimpleNamespace(user=SimpleNamespace(is_authenticated=True, pk=7))) == Person("7", None)


# --- API keys ---

HEX = "401f7ac837da42b97f613d789819ff93537bee6a"
UUID_KEY = "550e8400-e29b-41d4-a716-446655440000"


def basic(text):
    return "Basic " + b64encode(text.encode()).decode()


def with_headers(**headers):
    return RequestFactory().get("/", headers={name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize(
    ("headers", "prefix"),
    [
        ({"x_filesapi_key": HEX}, "401f7a"),
        ({"x_api_key": HEX}, "401f7a"),
        ({"api_key": HEX}, "401f7a"),
        ({"authorization": f"Bearer {HEX}"}, "401f7a"),
        ({"authorization": f"token  {HEX} "}, "401f7a"),
        ({"authorization": f"Api-Key {HEX}"}, "401f7a"),
        ({"authorization": basic(f"{HEX}:")}, "401f7a"),  # Stripe
        ({"authorization": basic(f"{HEX}")}, "401f7a"),
        ({"authorization": basic(f"{HEX}:x")}, "401f7a"),
        ({"authorization": basic(f":{HEX}")}, "401f7a"),
        ({"authorization": basic(f"x:{HEX}")}, "401f7a"),
        ({"authorization": basic(f"API:{HEX}")}, "401f7a"),
        ({"authorization": basic(f"@api-12:{HEX}")}, "401f7a"),  # Files.com
        ({"x_api_key": f"sk_live_{HEX}"}, "sk_live_401f7a"),
        ({"x_api_key": f"ghp_{HEX}"}, "ghp_401f7a"),
        ({"x_api_key": UUID_KEY}, "550e84"),
        ({"x_api_key": "my_secret_is_a_long_sentence_with_1_digit"}, "my_sec"),
        # A gateway's key beside the user's token
        ({"x_api_key": HEX, "authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"}, "401f7a"),
    ],
)
def test_of_a_key_its_beginning_and_a_fingerprint_are_kept(headers, prefix):
    key = identity.api_key(with_headers(**headers))
    assert key.prefix == prefix
    assert re.fullmatch(r"fp:[0-9a-f]{16}", key.id)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_api_key": ""},
        {"x_api_key": "short1"},
        {"x_api_key": "a1" * 9},
        {"x_api_key": "correcthorsebatterystaple"},  # a sentence: its rest can be guessed
        {"x_api_key": "caf\u00e9" + HEX},
        {"x_api_key": "two words " + HEX},
        {"x_api_key": HEX * 20},
        {"authorization": HEX},
        {"authorization": f"Digest {HEX}"},
        {"authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"},
        {"authorization": "Bearer v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1"},
        {"authorization": basic(f"alice:{HEX}")},  # a user and a password
        {"authorization": basic("alice:")},
        {"authorization": basic("alice@example.com-1234567890:")},
        {"authorization": "Basic ////"},
        {"authorization": "Basic =1"},
        {"authorization": "Basic"},
        {"cookie": f"api_key={HEX}"},
    ],
)
def test_what_is_no_key_or_short_leaves_nothing(headers):
    assert identity.api_key(with_headers(**headers)) is None


def test_the_password_of_a_user_who_is_called_like_a_placeholder_leaves_nothing():
    request = with_headers(authorization=basic(f"api:{HEX}"))
    request.user = SimpleNamespace(is_authenticated=True, pk=7, get_username=lambda: "api")
    assert identity.api_key(request) is None


def test_a_fingerprint_is_the_keys_own_and_this_projects(settings):
    first = identity.api_key(with_headers(x_api_key=HEX)).id
    assert identity.api_key(with_headers(authorization=basic(f"{HEX}:"))).id == first
    assert identity.api_key(with_headers(x_api_key=HEX[::-1])).id != first
    assert sha256(HEX.encode()).hexdigest()[:16] not in first
    settings.SECRET_KEY = "another project's " * 4
    assert identity.api_key(with_headers(x_api_key=HEX)).id != first


def test_a_project_names_its_own_headers(settings, tmp_path):
    settings.GATEBOOK = {"SPOOL": tmp_path, "SHIP": False, "API_KEY_HEADERS": ["X-Acme-Key"]}
    assert identity.api_key(with_headers(x_acme_key=HEX)).prefix == "401f7a"
    assert identity.api_key(with_headers(x_api_key=HEX)) is None


@pytest.mark.parametrize(
    ("known", "key"),
    [
        (SimpleNamespace(pk=12), ApiKey("12", "401f7a")),
        (SimpleNamespace(pk=UUID(UUID_KEY)), ApiKey(UUID_KEY, "401f7a")),
        (SimpleNamespace(pk=12, prefix="401f"), ApiKey("12", "401f")),
        (SimpleNamespace(name="backup"), ApiKey("backup", "401f7a")),
        (SimpleNamespace(pk=HEX, key=HEX), None),  # REST framework's Token
        (SimpleNamespace(pk=f"401f7a.{HEX}"), None),
        (SimpleNamespace(name=HEX, prefix=HEX), None),
        (SimpleNamespace(is_authenticated=True, pk=12), None),  # a user
        (HEX, None),
        ({"pk": 12}, None),
        (True, None),
    ],
)
def test_a_key_is_known_by_its_record_but_never_by_itself(known, key):
    request = with_headers(x_api_key=HEX)
    request.auth = known
    found = identity.api_key(request)
    assert HEX not in str(found)
    assert found == (key or identity.api_key(with_headers(x_api_key=HEX)))


# --- Whatever comes ---

hostile = st.text(st.characters(max_codepoint=255), max_size=60)  # servers hand bytes over as Latin-1
odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


sessions = st.fixed_dictionaries(
    {}, optional={"hijack_history": odd, "loginas_from_user": odd | st.just("7:x:y"), "_auth_user_id": odd}
)
headers = st.fixed_dictionaries(
    {"REMOTE_ADDR": st.sampled_from(["", "127.0.0.1", "\xff"]) | hostile},
    optional={
        "HTTP_AUTHORIZATION": hostile
        | st.builds("{} {}".format, st.sampled_from(["Basic", "Bearer", "token"]), hostile)
        | st.binary(max_size=40).map(lambda content: f"Basic {b64encode(content).decode()}"),
        "HTTP_X_API_KEY": hostile,
        "HTTP_X_FORWARDED_FOR": hostile,
        "HTTP_HOST": hostile,
        "HTTP_USER_AGENT": hostile,
        "HTTP_COOKIE": hostile,
        "HTTP_X_REQUEST_ID": hostile,
    },
)


@pytest.fixture
def spooled(settings, tmp_path):
    """Return the lines that a project with every resolver has recorded."""
    settings.GATEBOOK = {"SPOOL": tmp_path, "SHIP": False, "TRUSTED_PROXIES": ["127.0.0.1", "unix"]}
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "loginas"]
    yield lambda: [decode_line(line) for path in tmp_path.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    spool.current().close()


@pytest.mark.django_db
@given(environ=headers, session=sessions, auth=odd, body=odd)
def test_whatever_comes_is_answered_and_recorded_in_full(spooled, environ, session, auth, body):
    def view(request):
        request.session, request.auth = session, auth
        request.user = SimpleNamespace(is_authenticated=True, pk=7, get_username=lambda: "bob")
        return HttpResponse(json.dumps(body), content_type="application/json", status=400)

    known = len(spooled())
    assert GatebookMiddleware(view)(RequestFactory().get("/", **environ)).status_code == 400
    (line,) = spooled()[known:]
    assert (line.entry.username, line.entry.response_code) == ("bob", 400)
    assert "capture" not in line.entry.details


# --- Membership of the parent site ---


def from_parent(request):
    """Believe the request."""
    return request.headers["X-From-Parent"] == "yes"


def broken(request):
    """Fail."""
    raise ArithmeticError


@pytest.mark.parametrize(
    ("resolver", "user", "view_says", "expected"),
    [
        ("from_parent", True, None, True),
        ("from_parent", True, False, False),
        ("from_parent", False, None, False),  # nobody is from nowhere
        ("broken", True, None, False),
        ("broken", True, True, True),
    ],
)
def test_a_project_tells_who_is_from_the_parent_site(spooled, settings, resolver, user, view_says, expected):
    settings.GATEBOOK = {**settings.GATEBOOK, "USER_FROM_PARENT_SITE": f"tests.test_identity.{resolver}"}

    def view(request):
        request.user = SimpleNamespace(is_authenticated=user, pk=7, get_username=lambda: "bob")
        request.gatebook.user_is_from_parent_site = view_says
        return HttpResponse()

    GatebookMiddleware(view)(RequestFactory().get("/", headers={"x-from-parent": "yes"}))
    (line,) = spooled()
    assert line.entry.user_is_from_parent_site is expected


@pytest.fixture
def own_spooled(spooled, settings):
    """Return the lines that Gatebook has recorded of itself."""
    settings.GATEBOOK = {**settings.GATEBOOK, **{name: OWN[name] for name in ("SITE", "USER", "USER_FROM_PARENT_SITE")}}
    return spooled


@pytest.mark.parametrize(("who", "expected"), [("administrator", True), ("child_staff", False), ("superuser", False)])
def test_an_account_of_the_parent_site_is_from_there_in_gatebooks_own_entries(
    request, client, child, own_spooled, who, expected
):
    client.force_login(request.getfixturevalue(who))
    assert client.get(f"/{child.slug}/logs/").status_code == 200
    line = own_spooled()[-1]
    assert (line.site, line.entry.user_is_from_parent_site) == (child.slug, expected)


def test_who_is_refused_on_a_child_site_may_still_be_from_its_parent(client, staff, child, own_spooled):
    client.force_login(staff)
    assert client.get(f"/{child.slug}/logs/").status_code == 404
    entry = own_spooled()[-1].entry
    assert (entry.error_type, entry.user_is_from_parent_site) == ("not-found/site-not-found", True)
