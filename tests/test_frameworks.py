"""Who and how of requests in a project of somebody else's, with the real packages."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatebook.api_keys import FINGERPRINT
from tests.servers import bare_environment

PASSWORD = "correct horse 1"
KEY = "ab12cd" + "x7" * 20


class Project:
    """A running project; `known` has the ids of its accounts and what else it made."""

    def __init__(self, directory):
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.frameworks", str(directory)],
            cwd=Path(__file__).parent.parent,
            env=bare_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.known = self._read()

    def _read(self):
        line = self.process.stdout.readline()
        assert line, "the project has stopped"
        return json.loads(line)

    def tell(self, **asked):
        """Say one line and return the answer's."""
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self._read()

    def request(self, method, path, *, session="", data=None, form=None, is_async=False, **headers):
        """Make a request, in the session of that name; return its answer and its entry."""
        body, kind = ("", "") if data is None else (json.dumps(data), "application/json")
        if form is not None:
            body, kind = (
                "&".join(f"{name}={value}" for name, value in form.items()),
                "application/x-www-form-urlencoded",
            )
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        told = self.tell(
            method=method,
            path=path,
            body=body,
            type=kind,
            headers=headers,
            session=f"{session}{is_async}",
            is_async=is_async,
        )
        assert told["entry"]["request_id"] == told["id"]
        assert "capture" not in told["entry"]["details"]
        return SimpleNamespace(**told | {"entry": SimpleNamespace(**told["entry"])})

    def entry(self, *args, **kwargs):
        """Make a request; return its entry."""
        return self.request(*args, **kwargs).entry

    def sign_in(self, name, session):
        """Sign in with a password; return the entry."""
        return self.entry(
            "POST", "/sign-in/", session=session, form={"email": f"{name}@example.com", "password": PASSWORD}
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    running = Project(tmp_path_factory.mktemp("frameworks"))
    yield running
    running.process.stdin.close()
    running.process.stdout.close()
    running.process.wait(10)


@pytest.fixture
def session(request):
    """A session of this test alone."""
    return request.node.name


def basic(username, password):
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def who(entry):
    return entry.user_id, entry.username


def impersonation(entry):
    return entry.username, entry.impersonator_user_id, entry.impersonator_username


# --- Users ---


def test_rest_frameworks_token_is_its_user_and_never_in_the_book(project):
    token = project.known["token"]
    entry = project.entry("GET", "/drf/files/", authorization=f"Token {token}")
    assert who(entry) == (project.known["bob"], "bob@example.com")
    assert entry.api_key_prefix == token[:6]
    assert entry.api_key_id.startswith(FINGERPRINT)
    assert all(token not in path.read_text() for path in project.directory.glob("spool/*.jsonl"))


def test_rest_frameworks_basic_authentication_is_a_user_and_no_key(project):
    entry = project.entry("GET", "/drf/files/", authorization=basic("bob@example.com", PASSWORD))
    assert who(entry) == (project.known["bob"], "bob@example.com")
    assert entry.api_key_id is entry.api_key_prefix is None


def test_a_user_of_a_web_token_is_in_no_table(project):
    entry = project.entry("GET", "/drf/files/", authorization="Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2ln")
    assert who(entry) == ("svc-7", "backup")
    assert entry.api_key_id is entry.api_key_prefix is None


@pytest.mark.parametrize(
    ("authorization", "error_type", "message"),
    [
        (None, "not_authenticated", "Authentication credentials were not provided."),
        ("Token nonsense", "authentication_failed", "Invalid token."),
        (basic("bob@example.com", "wrong"), "not-authenticated", "Invalid username/password."),
        ("Basic !!", "authentication_failed", "Invalid basic header. Credentials not correctly base64 encoded."),
    ],
)
def test_a_refused_sign_in_has_no_user_but_an_error(project, authorization, error_type, message):
    entry = project.entry("GET", "/drf/files/", **({"authorization": authorization} if authorization else {}))
    assert (entry.response_code, *who(entry)) == (401, None, None)
    assert (entry.error_type, entry.error_message) == (error_type, message)


def test_ninjas_authenticator_may_return_the_user(project):
    entry = project.entry("GET", "/ninja/files", authorization="Bearer bob@example.com")
    assert who(entry) == (project.known["bob"], "bob@example.com")
    assert entry.api_key_id is None


def test_ninjas_authenticator_may_return_the_key(project):
    entry = project.entry("POST", "/ninja/files?size=1", x_api_key=KEY)
    assert (*who(entry), entry.api_key_id, entry.api_key_prefix) == (None, None, project.known["key"], "ab12cd")


def test_the_record_of_a_key_is_known_wherever_the_key_came_from(project):
    entry = project.entry("POST", f"/ninja/files?size=1&api_key={KEY}")
    assert (entry.api_key_id, entry.api_key_prefix) == (project.known["key"], "ab12cd")
    assert KEY not in entry.request_path


def test_what_ninjas_authenticator_returns_may_be_a_mere_text(project):
    entry = project.entry("GET", "/ninja/folders/a", authorization=basic("bob", "a password of 24 letters"))
    assert (*who(entry), entry.api_key_id) == (None, None, None)


def test_ninjas_refusal_has_no_user_but_an_error(project):
    entry = project.entry("GET", "/ninja/files", authorization="Bearer nobody")
    assert (entry.response_code, *who(entry), entry.error_message) == (401, None, None, "Unauthorized")


@pytest.mark.parametrize("path", ["/untouched/", "/async/untouched/", "/async/asked/"])
@pytest.mark.parametrize("is_async", [False, True])
def test_who_is_signed_in_is_known_whether_the_view_asked_or_not(project, session, path, is_async):
    project.request("GET", "/async/sign-in/?email=carol@example.com", session=session, is_async=is_async)
    entry = project.entry("GET", path, session=session, is_async=is_async)
    assert who(entry) == (project.known["carol"], "carol@example.com")


def test_who_signs_in_asynchronously_is_the_user(project, session):
    entry = project.entry("GET", "/async/sign-in/?email=carol@example.com", session=session, is_async=True)
    assert entry.username == "carol@example.com"


def test_a_token_beats_the_session_it_came_with(project, session):
    project.sign_in("alice", session)
    project.entry("POST", "/hijack/acquire/", session=session, form={"user_pk": project.known["carol"]})
    entry = project.entry("GET", "/drf/files/", session=session, authorization=f"Token {project.known['token']}")
    assert impersonation(entry) == ("bob@example.com", None, None)


# --- Impersonation ---


def test_hijack_from_sign_in_to_release(project, session):
    alice = project.known["alice"], "alice@example.com"
    assert impersonation(project.sign_in("alice", session)) == ("alice@example.com", None, None)
    project.entry("POST", "/hijack/acquire/", session=session, form={"user_pk": project.known["carol"]})
    entry = project.entry("GET", "/untouched/", session=session)
    assert (who(entry), impersonation(entry)) == (
        (project.known["carol"], "carol@example.com"),
        ("carol@example.com", *alice),
    )
    project.entry("POST", "/hijack/release/", session=session)
    assert impersonation(project.entry("GET", "/untouched/", session=session)) == ("alice@example.com", None, None)


def test_the_first_of_a_hijack_chain_is_the_impersonator(project, session):
    project.sign_in("alice", session)
    for name in ("bob", "carol"):
        project.entry("POST", "/hijack/acquire/", session=session, form={"user_pk": project.known[name]})
    entry = project.entry("GET", "/async/untouched/", session=session)
    assert impersonation(entry) == ("carol@example.com", project.known["alice"], "alice@example.com")
    project.entry("POST", "/hijack/release/", session=session)
    entry = project.entry("GET", "/untouched/", session=session)
    assert impersonation(entry) == ("bob@example.com", project.known["alice"], "alice@example.com")


def test_loginas_from_sign_in_to_release(project, session):
    alice = project.known["alice"], "alice@example.com"
    project.sign_in("alice", session)
    project.entry("POST", f"/loginas/login/user/{project.known['carol']}/", session=session)
    assert impersonation(project.entry("GET", "/untouched/", session=session)) == ("carol@example.com", *alice)
    # Who signs out to be themselves again is still impersonating.
    assert impersonation(project.entry("GET", "/loginas/logout/", session=session)) == ("carol@example.com", *alice)
    assert impersonation(project.entry("GET", "/untouched/", session=session)) == ("alice@example.com", None, None)


def test_loginas_remembers_the_last_of_a_chain(project, session):
    project.sign_in("alice", session)
    for name in ("bob", "carol"):
        project.entry("POST", f"/loginas/login/user/{project.known[name]}/", session=session)
    entry = project.entry("GET", "/untouched/", session=session)
    assert impersonation(entry) == ("carol@example.com", project.known["bob"], "bob@example.com")


@pytest.mark.parametrize("by", ["hijack", "loginas"])
def test_of_an_impersonator_who_is_gone_the_id_stays(tmp_path, by):
    project = Project(tmp_path)
    project.sign_in("alice", by)
    carol = project.known["carol"]
    if by == "hijack":
        project.entry("POST", "/hijack/acquire/", session=by, form={"user_pk": carol})
    else:
        project.entry("POST", f"/loginas/login/user/{carol}/", session=by)
    project.tell(delete="alice@example.com")
    entry = project.entry("GET", "/untouched/", session=by)
    assert impersonation(entry) == ("carol@example.com", project.known["alice"], None)
    project.process.communicate(timeout=10)


# --- Names ---


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/untouched/", "tests.frameworks.urls.untouched"),
        ("GET", "/drf/files/", "drf:file-list"),
        ("POST", "/drf/files/", "drf:file-create"),
        ("GET", "/drf/files/7/", "drf:file-retrieve"),
        ("HEAD", "/drf/files/7/", "drf:file-retrieve"),
        ("OPTIONS", "/drf/files/7/", "drf:file-detail"),
        ("DELETE", "/drf/files/7/", "drf:file-detail"),
        ("GET", "/drf/files/recently_changed/", "drf:file-recently-changed"),
        ("GET", "/drf-plain/", "tests.frameworks.urls.Plain"),
        ("GET", "/drf-function/", "tests.frameworks.urls.function"),
        ("GET", "/ninja/files", "api-1.0.0:list_files"),
        ("POST", "/ninja/files", "api-1.0.0:create_file"),
        ("PUT", "/ninja/files", "api-1.0.0:list_files"),
        ("GET", "/ninja/folders/a", "api-1.0.0:one-folder"),
        ("DELETE", "/ninja/folders/a", "api-1.0.0:remove_folder"),
        ("POST", "/hijack/acquire/", "hijack:acquire"),
        ("GET", "/nowhere/", None),
    ],
)
def test_what_answered_has_a_name(project, method, path, name):
    assert project.entry(method, path).api_name == name


# --- Errors ---


@pytest.mark.parametrize(
    ("method", "path", "data", "code", "error"),
    [
        ("POST", "/drf/files/", {}, 400, ("required", "name: This field is required.")),
        ("POST", "/drf/files/", {"name": "a", "size": 99}, 400, ("max_value", "size: Ensure this value is less")),
        ("GET", "/drf/files/7/", None, 429, ("throttled", "Request was throttled. Expected available in 9 seconds.")),
        ("PATCH", "/drf/files/", None, 405, ("method_not_allowed", 'Method "PATCH" not allowed.')),
        ("GET", "/drf/files/recently_changed/", None, 500, ("ZeroDivisionError", "of the view")),
    ],
)
def test_rest_frameworks_errors(project, method, path, data, code, error):
    authorization = f"Token {project.known['token']}"
    entry = project.entry(method, path, data=data, authorization=authorization)
    assert (entry.response_code, entry.error_type) == (code, error[0])
    assert entry.error_message.startswith(error[1])


def test_ninjas_errors(project):
    entry = project.entry("POST", "/ninja/files?size=x", x_api_key=KEY)
    assert (entry.response_code, entry.error_type) == (422, "int_parsing")
    assert entry.error_message.startswith("query.size: Input should be a valid integer")
    entry = project.entry("GET", "/ninja/folders/a", authorization=basic("bob", "x"))
    assert (entry.response_code, entry.error_type, entry.error_message) == (409, None, "a is locked")


# --- Logs ---


@pytest.mark.parametrize("path", ["/logs/", "/async/logs/"])
@pytest.mark.parametrize("is_async", [False, True])
def test_the_request_id_is_known_wherever_the_request_is_served(project, path, is_async):
    told = project.request("GET", path, is_async=is_async)
    assert set(json.loads(told.body)) == {told.id}


@pytest.mark.parametrize("is_async", [False, True])
def test_djangos_own_log_lines_have_the_request_id(project, is_async):
    told = project.request(
        "GET", "/drf/files/recently_changed/", is_async=is_async, authorization=f"Token {project.known['token']}"
    )
    lines = [line for line in (project.directory / "log").read_text().splitlines() if told.id in line]
    assert [line.partition(" ")[2] for line in lines] == [
        "django.request: Internal Server Error: /drf/files/recently_changed/"
    ]
    missing = project.request("GET", "/nowhere/", is_async=is_async)
    assert f"{missing.id} django.request: Not Found: /nowhere/" in (project.directory / "log").read_text()
