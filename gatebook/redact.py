"""Secrets in what a request carries: hidden before anything touches a disk. docs/redaction.md says what and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import attrgetter
from urllib.parse import quote, unquote

from django.core.exceptions import ImproperlyConfigured
from msgspec.structs import replace

from gatebook.api_keys import keyed_digest
from gatebook.entry import INDEXED_LIMIT, TEXT_LIMITS, Entry
from gatebook.running_text import HIDDEN, NO_VALUE, secret_values
from gatebook.secret_names import NAMESPACES, SecretNames, folder_kind

__all__ = ["HIDDEN", "Redactor"]

# No pattern here may take more than linear time: what is open-ended takes all it can and never gives back, what may
# fail after a search is bounded.

_ISSUED = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:[spr]k_(?:live|test)|whsec|gh[opusr]|github_pat|dckr_pat|shp(?:at|ca|pa|ss)|do[opr]_v1|lin_api|glsa|sntrys)"
    r"_[\w.-]{10,}|(?:gsk|hf|npm|ntn|rubygems|sbp)_[A-Za-z0-9]{30,}"
    r"|gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|soat|agent|imt)-[\w.-]{10,}|xox[a-z]-[\w.-]{10,}|xapp-\d-[\w-]{10,}"
    r"|sk-(?=[\w-]{0,50}[A-Z])(?=[\w-]{0,50}\d)[\w-]{20,}|key-[0-9a-f]{32}|SK[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}"
    r"|pypi-A[\w-]{15,}|SG\.[\w-]{10,}\.[\w-]{10,}|hv[sbr]\.[\w-]{20,}|ya29\.[\w.-]{10,}|1//0[\w-]{20,}"
    r"|GOCSPX-[\w-]{10,}|AIza[\w-]{30,}"
    r"|(?:bot)?\d{6,12}:AA[\w-]{30,}"  # Telegram
    # Django's links for a new password, allauth's begin with the user; ids such as `worker-<hex>` stand for themselves.
    r"|(?<=[^\w.:@|+~-])(?:[A-Za-z0-9_]{1,13}-)?[a-z0-9]{6}-[0-9a-f]{32}(?![\w-])"
    r"|(?P<jwt>eyJ[\w-]*+(?:\.[\w-]*+)*+)"
    r")"
    r"|(?<=/services/)T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/\w{10,}"  # Slack's webhooks
    r"|-----BEGIN[+ ](?:[A-Z0-9]{1,12}[+ ]){0,3}PRIVATE[+ ]KEY[\s\S]*?(?:-----END[A-Z0-9+ ]{1,60}-----|\Z)"
    r"|(?<=Failing row contains \()[^\n]*"  # PostgreSQL
)
_LONG_RUN = re.compile(r"[A-Za-z0-9_.:-]{13}")  # no issued key is without one; a tenth of the time of trying them all
_USERINFO = re.compile(r"(?<=://)([^\s/?#@:]{0,256})(:[^\s/?#]{0,1024})?@")
_SEGMENT = re.compile(r"(?<=/)[^\s/?#;&\"'<>\\]{8,}")
_SCHEME = re.compile(
    r"\b((?:Bearer|Token|ApiKey|Negotiate|NTLM|DPoP|SSWS)[\s+]{1,4}(?=[\w.~+/-]{0,200}\d)(?=[\w.~+/-]{12})"
    r"|Basic[\s+]{1,4}(?=[\w+/]{0,200}(?:[\d=/+]|(?-i:[a-z][A-Z]))))[\w.~+/-]{6,}=*",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"(<(?:[\w.-]{1,64}:)?([\w.-]{1,64})(?:\s[^<>]{0,200})?>)([^<>]+)(?=</)")

_KEY_LIKE = re.compile(
    r"(?<![A-Za-z0-9])(?:(?=[A-Za-z]*+[0-9])(?=[0-9]*+[A-Za-z])[A-Za-z0-9]{10,}|[A-Za-z0-9]{24,})"
    r"|^(?=[^0-9]*+[0-9])[\w~.%:+=-]{32,}$"
    r"|^(?=[^a-z]*+[a-z])(?=[^A-Z]*+[A-Z])(?=[^0-9]*+[0-9])[A-Za-z0-9]{8,}$"
)
_FILE = re.compile(r"\.[a-z][a-z0-9]{1,4}$", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$", re.IGNORECASE)
_DIGEST = re.compile(r"-[0-9a-f]{16}\Z")
_DIGEST_LENGTH = 17
_MOST_ROUNDS = 5

# What most entries hold, told by one look: nothing above finds anything here. Issued keys without `_` and `:` have
# longer words than these ids or begin as is said; folders of a path that are as short as these hide no key.
_PLAIN_IDS = re.compile(
    r"(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\n)?"
    r"(?:(?!SG\.|hv[sbr]\.|ya29\.|eyJ|AIza|(?:gl|xox|xapp|sk|pypi|GOCSPX)[a-z]{0,5}-)"
    r"[A-Za-z0-9]{1,12}+(?:[-.@\n]|\Z))*+"
)
_PLAIN_PATH = re.compile(r"(?:/(?:[A-Za-z_.]{0,12}+(?![^/])|[0-9]{1,12}+(?![^/])|[A-Za-z0-9_.]{1,7}+(?![^/])))*+")

_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_SEPARATOR = re.compile(r"([&;?#])")
_RESPONSE_CODES = re.compile(r"(?:[<>]=?)?\d{1,3}(?:(?:\.\.|,)\d{1,3})*\*?$")
_ADDRESS_SIGN = re.compile(r"[?&#/]")
_WORD = re.compile(r"[^\s\"'<>\\]+")
_MAX_NESTING = 3
_PREFIX_LIMIT = 24
_PREFIX_KEPT = 8
_LONGEST_WORD = 1024
_CACHED_TEXTS = 2048
_LONGEST_CACHED_TEXTS = 500

_IDS = ("user_id", "username", "impersonator_user_id", "impersonator_username", "api_key_id", "api_key_prefix")
# Together what comes again together: the same few users, programs and operations. What holds a secret is not kept in
# memory.
_FREE_TEXTS = (
    _IDS,
    ("user_agent", "request_host"),
    ("interface", "api_name", "request_method"),
    ("error_type", "error_message"),
)

_Texts = tuple[str | None, ...]

_ids_of = attrgetter("request_id", *_IDS)

_LOGINS = frozenset(["username", "impersonator_username", "attempted_username"])


def _without_torn_ends(entry: Entry) -> Entry:
    """Drop the last word of each text that was cut: it may be half a secret, which nobody would know for one."""
    whole = {}
    for name, limit in TEXT_LIMITS.items():
        text = getattr(entry, name)
        if name != "request_id" and text is not None and len(text) == limit and f"{name} of " in entry.details["cut"]:
            tail = text[-_LONGEST_WORD:]
            whole[name] = text[: limit - len(tail)] + tail[: 1 + max(map(tail.rfind, " \t\n&;?"))]
    return replace(entry, **whole) if whole else entry


class Redactor:
    """Hides secrets by the names they go by, by their shape, and by the patterns a host adds."""

    def __init__(
        self, names: Iterable[str] = (), patterns: Iterable[re.Pattern[str]] = (), not_secret: Iterable[str] = ()
    ) -> None:
        self._names = SecretNames(names, not_secret)
        self._patterns = tuple(patterns)
        self._free_texts: list[tuple[tuple[str, ...], Callable[[Entry], _Texts], set[_Texts]]]
        self._free_texts = [(names, attrgetter(*names), set()) for names in _FREE_TEXTS]
        self.on_hidden: Callable[[str], None] = lambda why: None
        """Is told by which name or shape each secret was found, never the secret."""

    def entry(self, entry: Entry) -> Entry:
        """Return an entry without the secrets in its texts: the same one where there are none."""
        changes: dict[str, object] = {}
        if entry.details and "cut" in entry.details:
            entry = _without_torn_ends(entry)
        plain_ids = self._has_plain_ids(entry)
        for names, texts_of, known_clean in self._free_texts[1:] if plain_ids else self._free_texts:
            if (texts := texts_of(entry)) in known_clean:
                continue
            is_clean = True
            for name, text in zip(names, texts, strict=True):
                if text is not None and (hidden := self._field(name, text)) != text:
                    changes[name], is_clean = hidden, False
            if is_clean and sum(map(len, filter(None, texts))) <= _LONGEST_CACHED_TEXTS:
                if len(known_clean) >= _CACHED_TEXTS:
                    known_clean.clear()
                known_clean.add(texts)
        path = entry.request_path
        if path and (hidden := self._path(path, 0)) != path:
            changes["request_path"] = hidden
        is_plain = plain_ids or _UUID.fullmatch(entry.request_id)
        if not is_plain and (hidden := self.request_id(entry.request_id)) != entry.request_id:
            changes["request_id"] = hidden
        if entry.details and (details := self._details(entry.details)) != entry.details:
            changes["details"] = details
        return replace(entry, **changes) if changes else entry

    def path(self, text: str) -> str:
        """Return a path with its query string, or a whole address, without its secrets."""
        return self._path(text, 0)

    def text(self, text: str) -> str:
        """Return free text, such as an error message or a header's value, without its secrets."""
        if "=" in text or "%" in text:
            text = _WORD.sub(self._word, text)
        text = self._anywhere(text)
        return self._pairs(text) if "=" in text or ":" in text or "('" in text or '("' in text or "--" in text else text

    def request_id(self, text: str) -> str:
        """Return a Request-ID, as entries hold it, without its secrets.

        One that had any ends in a digest of the whole, so that distinct ones stay distinct and equal ones equal.
        """
        if HIDDEN in text and (match := _DIGEST.search(text)):
            before = text[: match.start()]
            if self.text(before) == before:
                return text  # a door on the way here has done it
        hidden = self.text(text)
        if hidden == text:
            return text
        try:
            digest = keyed_digest(text)
        except ImproperlyConfigured:  # a program without a SECRET_KEY records nonetheless
            return hidden
        # The next door must find nothing more: what is hidden may let what is beside it look like a part of it.
        for _ in range(_MOST_ROUNDS):
            before, hidden = hidden, self.text(hidden)
            if hidden == before and len(hidden) <= INDEXED_LIMIT - _DIGEST_LENGTH:
                return f"{hidden}-{digest}"
        return f"{HIDDEN}-{digest}"

    def _hide(self, secret: str, why: str) -> str:
        """Return what stands for a secret; `why` is the name it went by, or its shape."""
        if secret != HIDDEN:
            self.on_hidden(why)
        return HIDDEN

    def _field(self, name: str, text: str) -> str:
        if name == "request_host":
            login, _, host = text.rpartition("@")
            return f"{self._hide(login, 'login in a host')}@{self.text(host)}" if login else self.text(text)
        if name in _LOGINS and not self._names.keeps(name):
            return self._login(self.text(text))
        text = self.text(text)
        if name == "api_key_prefix" and len(text) > _PREFIX_LIMIT and HIDDEN not in text:
            return text[:_PREFIX_KEPT] + self._hide(text[_PREFIX_KEPT:], "a whole key as its prefix")
        return text

    def _login(self, text: str) -> str:
        """Hide in `bob:password`, which is what some clients and programs take for a username."""
        login, _, password = text.partition(":")
        if not (login and password) or login.startswith("@") or ":" in password or password.isdigit():
            return text
        if login.lower() in NAMESPACES or password == HIDDEN or ("@" in password and "." in password):
            return text
        return f"{login}:{self._hide(password, 'password after a username')}"

    def _details(self, details: dict[str, str]) -> dict[str, str]:
        return {
            self.text(name): self._hide(text, name)
            if text.lower() not in NO_VALUE and self._names.is_secret_in_text(name, True)
            else self._field(name, text)
            for name, text in details.items()
        }

    def _has_plain_ids(self, entry: Entry) -> bool:
        """Whether Request-ID, users and API key are too plain to be or hold a secret."""
        if self._patterns or len(entry.api_key_prefix or "") > _PREFIX_LIMIT:
            return False
        return _PLAIN_IDS.fullmatch("\n".join(filter(None, _ids_of(entry)))) is not None

    def _path(self, text: str, depth: int) -> str:
        if _PLAIN_PATH.fullmatch(text) and not self._patterns:
            return text
        if '"' in text or "'" in text:  # quotes bind closer than the signs of an address
            text = self._pairs(text)
        if "=" in text or "%" in text:
            text = self._parameters(text, depth)
        text = self._anywhere(text)
        return self._pairs(text) if ":" in text else text

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        is_address = "%" in word or ("=" in word and _ADDRESS_SIGN.search(word))
        return self._parameters(word, 0) if is_address else word

    def _parameters(self, text: str, depth: int) -> str:
        """Hide by name in `name=value` between the signs of an address."""
        pieces = _SEPARATOR.split(text)
        hidden = [self._piece(pieces[0], depth)]
        for separator, piece in zip(pieces[1::2], pieces[2::2], strict=True):
            # Servers do not agree on what ends a value; a secret that goes on behind a sign is hidden as well.
            if separator != "&" and "=" not in piece and hidden[-1].endswith(f"={HIDDEN}"):
                continue
            hidden += separator, self._piece(piece, depth)
        return "".join(hidden)

    def _piece(self, piece: str, depth: int) -> str:
        name, equals, value = piece.partition("=")
        if not equals:
            return self._nested(piece, depth) if "%" in piece else piece
        if value and self._is_secret(name.rpartition("/")[2], value):
            return f"{name}={self._hide(value, name.rpartition('/')[2])}"
        return f"{name}={self._nested(value, depth)}" if "%" in value or "=" in value else piece

    def _is_secret(self, name: str, value: str) -> bool:
        return (
            self._names.is_secret(name)
            and value.lower() not in NO_VALUE
            # `code=400..499` asks for response codes; an authorisation code looks different.
            and not (name.lower().lstrip("-") == "code" and _RESPONSE_CODES.match(unquote(value)))
        )

    def _nested(self, value: str, depth: int) -> str:
        """Hide in a value that may hold an address or parameters of its own, plain or encoded."""
        if depth >= _MAX_NESTING:
            return self._hide(value, "encoded too often") if "%25" in value else value
        plain = unquote(value) if _ENCODED.search(value) else value
        if plain == value:  # what is not hidden by name here is looked for in the text around it, as a whole
            return self._parameters(value, depth + 1) if "=" in value else value
        hidden = self._path(plain, depth + 1)
        return value if hidden == plain else quote(hidden, safe="/[]:,+")

    def _anywhere(self, text: str) -> str:
        """Hide what is secret wherever it stands."""
        if _LONG_RUN.search(text) or "-----" in text or "Failing row" in text:
            text = _ISSUED.sub(self._issued, text)
        for pattern in self._patterns:
            text = pattern.sub(lambda match: self._hide(match[0], f"re:{match.re.pattern}"), text)
        if "@" in text:
            text = _USERINFO.sub(self._userinfo, text)
        if "/" in text:
            text = _SEGMENT.sub(self._segment, text)
        if " " in text or "+" in text:
            text = _SCHEME.sub(self._scheme, text)
        if "</" in text:
            text = _ELEMENT.sub(self._element, text)
        return text

    def _issued(self, match: re.Match[str]) -> str:
        jwt = match["jwt"]
        if jwt and (len(jwt) < 16 or "." not in jwt[8:]):
            return jwt
        return self._hide(match[0], "shape of a key, token or link")

    def _userinfo(self, match: re.Match[str]) -> str:
        user, password = match.groups()
        if len(user) >= 16 and _KEY_LIKE.search(user):
            user = self._hide(user, "key in an address")
        if password and len(password) > 1:
            password = f":{self._hide(password[1:], 'password in an address')}"
        return f"{user}{password or ''}@"

    def _segment(self, match: re.Match[str]) -> str:
        """Hide the key in `/reset/<key>` and `/tokens/<key>`."""
        segment = match[0]
        above = match.string[max(0, match.start() - 130) : match.start() - 1].split("/")[-2:]
        kinds = [(folder, kind) for folder in reversed(above) if (kind := folder_kind(folder))]
        if not kinds or not _KEY_LIKE.search(segment) or _FILE.search(segment):
            return segment
        for folder, kind in kinds:
            is_id = len(segment) < 16 or (_UUID.match(segment) and not folder.lower().endswith(("token", "tokens")))
            if kind == "link" or (kind == "collection" and not is_id):
                return self._hide(segment, f"/{folder}/")
        return segment

    def _scheme(self, match: re.Match[str]) -> str:
        return match[1] + self._hide(match[0][len(match[1]) :], match[1].rstrip(" +"))

    def _element(self, match: re.Match[str]) -> str:
        if not self._names.is_secret_in_text(match[2], True) or match[3].strip().lower() in NO_VALUE:
            return match[0]
        return match[1] + self._hide(match[3], match[2])

    def _pairs(self, text: str) -> str:
        """Hide by name in running text, JSON, the `repr` of objects, headers and command lines."""
        parts: list[str] = []
        done = 0
        for name, start, end in secret_values(text, self._names.is_secret_in_text):
            parts += text[done:start], self._hide(text[start:end], name)
            done = end
        return "".join(parts) + text[done:] if parts else text
