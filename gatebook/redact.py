"""Secrets in paths, query strings and messages: what is hidden before anything touches a disk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_plus

from msgspec.structs import replace

from gatebook.entry import Entry

HIDDEN = "[redacted]"

SECRET_NAMES = frozenset(
    {
        "2fa_code",
        "access_key",
        "accesskey",
        "api_key",
        "apikey",
        "assertion",
        "auth",
        "auth_code",
        "auth_key",
        "authorization",
        "awsaccesskeyid",
        "bearer",
        "client_key",
        "code",
        "code_verifier",
        "cookie",
        "csrfmiddlewaretoken",
        "csrftoken",
        "hash_key",
        "hmac",
        "id_token_hint",
        "jsessionid",
        "jwt",
        "key",
        "license_key",
        "magic",
        "mfa_code",
        "nonce",
        "oauth_code",
        "oauth_verifier",
        "otp",
        "otp_code",
        "pass",
        "passcode",
        "passkey",
        "passphrase",
        "passwd",
        "phpsessid",
        "pin",
        "private_key",
        "pswd",
        "pw",
        "pwd",
        "samlart",
        "samlrequest",
        "samlresponse",
        "sess",
        "sessid",
        "session",
        "session_id",
        "session_key",
        "sessionid",
        "sid",
        "sig",
        "signing_key",
        "sso",
        "ticket",
        "user_pass",
        "verification_code",
        "x_amz_credential",
        "x_auth",
        "x_filesapi_auth",
        "x_filesapi_key",
    }
)
"""Parameter names that are secret as they are; `-` counts as `_`, case does not count."""

SECRET_PARTS = ("apikey", "api_key", "credential", "passwd", "password", "secret", "signature", "token")
"""A parameter name that contains one of these is secret, such as `X-Amz-Signature` or `new_password1`."""

SECRET_ENDINGS = ("_auth", "_code", "_key", "_pass", "_passkey", "_pin", "_pswd", "_pw", "_pwd", "_sessid")
"""So is one that ends like this, but for ORDINARY_NAMES."""

_ORDINARY_CODES = """area bar city color colour country cost currency dial discount district error exit extension http
    item language lang locale location mcc naics order phone place plus post postal product project promo province qr
    reason region response result return route site sort source state station status store tax time unit
    warehouse zip"""
_ORDINARY_KEYS = """cache category column config content display document event facet field file filter folder foreign
    group idempotency index issue item label language list lookup map menu message object order page parent partition
    primary project property public range resource row search setting shard sort space storage tag translation type"""
ORDINARY_NAMES = frozenset(
    [f"{stem}_code" for stem in _ORDINARY_CODES.split()] + [f"{stem}_key" for stem in _ORDINARY_KEYS.split()]
)
"""What only looks like a secret by its ending."""

_JWT = r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*"
_ISSUED_KEY = (
    r"(?:(?:sk|pk|rk)_(?:live|test)_|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|npm_|pypi-|SG\.|shpat_|dop_v1_)[\w.-]{10,}"
    r"|AIza[\w-]{30,}"
)
_RESET_LINK = r"(?<![\w-])[a-z0-9]{6,13}-[0-9a-f]{32}(?![\w-])"  # Django's password reset links
_VALUE_SHAPE = re.compile(rf"{_JWT}|\b(?:{_ISSUED_KEY})|{_RESET_LINK}")

_PARAMETER_SIGNS = re.compile(r"[?=#]|%3[dDfF]|%253", re.ASCII)
_SECRET_FOLDER = re.compile(
    r"(/(?:(?:access|refresh|auth|invite|share|bearer)[_-]?)?"
    r"(tokens?|secrets?|passwords?|sessions?|resets?|invit(?:e|es|ation|ations)|activat(?:e|ion)|confirm|verify|magic"
    r"|(?:api[_-]?)?keys?)/)([^/?#;&]+)",
    re.IGNORECASE,
)
_KEY_LIKE = re.compile(r"(?=[^/]*[0-9])[\w.~%:+-]{16,}$|[A-Za-z0-9_-]{32,}$", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$", re.IGNORECASE)
_PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)([^\s/?#@:]*):([^\s/?#@]+)@")
_SEPARATOR = re.compile(r"([&;?#])")
_RESPONSE_CODES = re.compile(r"(?:[<>]=?)?\d{1,3}(?:(?:\.\.|,)\d{1,3})*\*?$")

_TEXT_NAME = (
    r"[\w-]*(?:password|passwd|passphrase|secret|token|signature|credential|api[_-]?key|apikey|access[_-]key|private[_-]key"
    r"|session[_-]?id|passkey|accesskey|sessid|(?:auth|signing|license|client)[_-]key"
    r"|(?:otp|mfa|2fa|verification|oauth|auth)[_-]code)\w*"
    r"|(?:[\w-]*[_-])?(?:pswd|pwd|pw)|[\w-]*[_-]pass|sig|jwt|otp|bearer|x[_-]auth|authorization|(?:set-)?cookie"
)
_QUOTED = r"\"(?:[^\"\\]|\\[\s\S])*+\\?\"?|'(?:[^'\\]|\\[\s\S])*+\\?'?"
_ESCAPED = r"\\+\"(?:[^\"\\]|\\(?!\"))*+(?:\\\")?"  # JSON inside of a JSON text: \"name\": \"value\"
_PAIR = (
    r"(?<![\w-])((?:NAME)(?:\\*[\"'])?\s*[=:]\s*|(?<=\([\"'])(?:NAME)[\"'],\s*)(?:(?:bearer|basic|token)\s+)?"
    rf"(\[redacted\]|b?(?:{_QUOTED})|{_ESCAPED}|[\[(](?:{_QUOTED}|[^\"'\])])*+[\])]?|[^\s,;&\"'<>)\]}}]+)"
)
_TEXT_PAIR = re.compile(_PAIR.replace("NAME", _TEXT_NAME), re.IGNORECASE)
_TEXT_SCHEME = re.compile(r"\b(Bearer|Basic)\s+(?=[\w.~+/-]*[\d=/+_.-])[\w.~+/-]{12,}=*", re.IGNORECASE)

_MAX_NESTING = 3
_LONGEST_CACHED_NAME = 200


class Redactor:
    """Hides the values of secret-looking names; `extra_names` adds to the built-in ones."""

    def __init__(self, extra_names: Sequence[str] = ()) -> None:
        self._names = SECRET_NAMES.union(*map(_words, extra_names))
        self._decide_once = lru_cache(maxsize=2048)(self._decide)
        extra = "|".join(map(re.escape, extra_names))
        self._extra_pair = re.compile(_PAIR.replace("NAME", extra), re.IGNORECASE) if extra else None

    def entry(self, entry: Entry) -> Entry:
        """Return an entry without the secrets in its texts: the same one where there are none."""
        path, agent, message, details = entry.request_path, entry.user_agent, entry.error_message, entry.details
        safe_path = self._path(path, 0) if path else path
        safe_agent = self.text(agent) if agent else agent
        safe_message = self.text(message) if message else message
        safe_details = {name: self.text(value) for name, value in details.items()} if details else details
        if (safe_path, safe_agent, safe_message, safe_details) == (path, agent, message, details):
            return entry
        return replace(
            entry, request_path=safe_path, user_agent=safe_agent, error_message=safe_message, details=safe_details
        )

    def path(self, text: str) -> str:
        """Return a path with its query string, or a whole address, without its secrets."""
        return self._path(text, 0)

    def text(self, text: str) -> str:
        """Return free text, such as an error message or a header's value, without its secrets."""
        text = _VALUE_SHAPE.sub(HIDDEN, text)
        if "://" in text:
            text = _PASSWORD_IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)
        if "=" in text or ":" in text or "(" in text:
            text = _TEXT_PAIR.sub(rf"\1{HIDDEN}", text)
            if self._extra_pair is not None:
                text = self._extra_pair.sub(rf"\1{HIDDEN}", text)
        return _TEXT_SCHEME.sub(rf"\1 {HIDDEN}", text)

    def _path(self, text: str, depth: int) -> str:
        if "@" in text:
            text = _PASSWORD_IN_ADDRESS.sub(rf"\1:{HIDDEN}@", text)
        if _PARAMETER_SIGNS.search(text):
            text = "".join(self._piece(piece, depth) for piece in _SEPARATOR.split(text))
        text = _VALUE_SHAPE.sub(HIDDEN, text)
        return _SECRET_FOLDER.sub(_without_key, text)

    def _piece(self, piece: str, depth: int) -> str:
        """Hide in one `name=value`, path or separator."""
        name, equals, value = piece.partition("=")
        if not equals:
            # An encoded "=" (or "?") hides a pair from us, not from the server that reads it.
            return self._nested(piece, depth) if "%3" in piece or "%253" in piece else piece
        if value and self._is_secret(name.rpartition("/")[2]) and not _is_search_for_codes(name, value):
            return f"{name}={HIDDEN}"
        is_nested = "%" in value or "=" in value or '"' in value
        return f"{name}={self._nested(value, depth)}" if is_nested else piece

    def _nested(self, value: str, depth: int) -> str:
        """Hide in a value that holds an address or parameters of its own, plain or encoded."""
        if depth >= _MAX_NESTING:
            return HIDDEN if "%25" in value else value
        plain = unquote(value)
        is_json = '"' in plain or "'" in plain
        if "=" not in plain and not _VALUE_SHAPE.search(plain) and "%" not in plain and not is_json:
            return value
        hidden = self._path(plain, depth + 1)
        if is_json:
            spaced = hidden.replace("+", " ")
            without = self.text(spaced)
            hidden = hidden if without == spaced else without
        elif "%22" in plain:  # encoded once more
            hidden = self._nested(hidden, depth + 1)
        if hidden == plain:
            return value
        return hidden if plain == value else quote(hidden, safe="/[]:,")

    def _is_secret(self, name: str) -> bool:
        return self._decide_once(name) if len(name) <= _LONGEST_CACHED_NAME else self._decide(name)

    def _decide(self, name: str) -> bool:
        words = _words(name)
        if not self._names.isdisjoint(words) or any(part in word for word in words for part in SECRET_PARTS):
            return True
        return any(word.endswith(SECRET_ENDINGS) and word not in ORDINARY_NAMES for word in words)


def _words(name: str) -> list[str]:
    """Return the words of a parameter's name: `user[new-password][0]` has two."""
    for _ in range(_MAX_NESTING):
        if "%" not in name and "+" not in name:
            break
        name = unquote_plus(name)
    name = name.lower().replace("-", "_").replace(" ", "_")
    return [word.strip("_") for word in re.split(r"[\[\].]+", name) if word]


def _is_search_for_codes(name: str, value: str) -> bool:
    """`code=400..499` asks for response codes; an authorisation code looks different."""
    return name.lower().lstrip("-") == "code" and _RESPONSE_CODES.match(unquote(value)) is not None


def _without_key(match: re.Match[str]) -> str:
    folder, kind, segment = match.groups()
    if not _KEY_LIKE.match(segment) or (kind.lower().endswith(("key", "keys", "sessions")) and _UUID.match(segment)):
        return match[0]
    return f"{folder}{HIDDEN}"
