"""Which names are secret: of parameters, headers, cookies, members of JSON, folders of a path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_plus


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WHOLE = _set(
    """
    awsaccesskeyid bearer codeverifier csrf idtokenhint invitation invite magic magiclink mnemonic nonce oauthverifier
    samlart samlrequest samlresponse seedphrase sess session sid sign sso ticket userpass xsrf
    """
)
"""Names that are secret as they are, signs and case aside: `id_token_hint` and `idTokenHint` are one."""

_ANYWHERE = re.compile(
    r"password(?!less)|passwd|passphrase|kennwort|passwort|secrets?(?:key|id|code|phrase|word)?$|signature|credential|tokens?$"
    r"|sess(?:ion)?(?:id|key)$|(?:access|api|auth|client|encryption|licen[cs]e|private|shared|signing)keys?$|authcode$"
)
"""A name with a word like one of these is secret: `newPassword1`, `X-Amz-Signature`."""

_LAST = _set("assertion auth authorization code cookie hmac jwt key otp passcode passkey pass pin pswd pw pwd sig totp")
"""So is one whose last word is one of these: `unlock_code`, `signingKey`; but for what is ordinary."""

_ORDINARY = {
    "code": """airport area bank bar branch city client color colour company country cost
        currency customer dial discount district error exit extension http item
        language lang locale location mcc naics order phone place plus post postal product project promo province qr
        reason region response result return route site sort source state station status store tax time unit
        warehouse zip""",
    "id": "credential token",
    "key": """cache category column config content display document event facet field file filter folder foreign group
        idempotency index issue item label language list lookup map menu message object order page parent partition
        primary project property public range resource row search setting shard sort space storage tag translation
        type""",
    "token": "continuation cursor idempotency next page pagination",
    "tokens": "cached completion input max min output prompt reasoning total",
}
_ORDINARY_PAIRS = frozenset((stem, last) for last, stems in _ORDINARY.items() for stem in stems.split())
"""Last two words of what only looks secret."""

_ABOUT = _set(
    """
    age algorithm alg at count created date enabled endpoint exp expired expires expiration expiry format issuer kind
    length lifetime limit manager message method name names policy required size status strength time ttl type
    types uri url version
    """
)
"""Last words of what is said about a secret: `token_type`, `passwordChangedAt`."""

_PROSE = _set("assertion auth code invitation invite key magic nonce pass pin session sign sso ticket")
_PROSE_QUOTED = _set("code key")
"""Names that say little in running text, where `code: 42` and `{"key": "x"}` are ordinary."""

_LINKS = _set(
    """
    activate activation confirm confirmation invitation invitations invite invites magic otp recover recovery reset
    unsubscribe verification verify
    """
)
_COLLECTIONS = _set("key keys secret secrets session sessions token tokens password passwords webhook webhooks")

NAMESPACES = _set(
    """
    ad aad acct app auth0 azure azuread client eks gatebook github gitlab google group id iam ldap node oauth oidc okta
    role saml service slack svc system team tenant uid user users
    """
)
"""What stands before the colon of a username that has no password: `system:node`, `oidc:bob`."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W\d_]+")
_PARTS = re.compile(r"[^\w+%-]+")
_SIGNS = re.compile(r"[\W_]+")
_MAX_ENCODINGS = 3
_LONGEST_CACHED = 200


class SecretNames:
    """Decides by name. `extra` names are secret besides the built-in ones, those of `ordinary` are not."""

    def __init__(self, extra: Iterable[str] = (), ordinary: Iterable[str] = ()) -> None:
        self._extra = frozenset(map(plain, extra))
        self._not_secret = frozenset(map(plain, ordinary))
        self._decide_once = lru_cache(maxsize=4096)(self._decide)

    def is_secret(self, name: str) -> bool:
        """Whether the value of a parameter of this name is secret."""
        return self._decide_once(name) if len(name) <= _LONGEST_CACHED else self._decide(name)

    def is_secret_in_text(self, name: str, quoted: bool) -> bool:
        """Whether it is in running text; `quoted`: as names are in JSON."""
        if not self.is_secret(name):
            return False
        short = plain(name)
        return short in self._extra or short not in (_PROSE_QUOTED if quoted else _PROSE)

    def keeps(self, name: str) -> bool:
        """Whether the host has said that this name is ordinary."""
        return plain(name) in self._not_secret

    def _decide(self, name: str) -> bool:
        for _ in range(_MAX_ENCODINGS):
            if "%" not in name and "+" not in name:
                break
            name = unquote_plus(name)
        return any(self._is_secret_part(part) for part in _PARTS.split(name))  # user[new-password] has two

    def _is_secret_part(self, part: str) -> bool:
        short = plain(part)
        if short in self._not_secret:
            return False
        if short in self._extra or short.rstrip("0123456789") in _WHOLE:
            return True
        words = _words(part)
        if not words or words[-1] in _ABOUT or tuple(words[-2:]) in _ORDINARY_PAIRS:
            return False
        return words[-1] in _LAST or _ANYWHERE.search(short) is not None or any(map(_ANYWHERE.search, words))


def plain(name: str) -> str:
    """Return a name without case and signs, as names are compared."""
    return _SIGNS.sub("", name).lower()


@lru_cache(maxsize=2048)
def folder_kind(name: str) -> str | None:
    """Return what may follow a folder of this name in a path: the key of a "link", one of a "collection", or None."""
    words = _words(name)
    if not _LINKS.isdisjoint(words):
        return "link"
    return None if _COLLECTIONS.isdisjoint(words) else "collection"


def is_header_line(name: str) -> bool:
    """Whether the rest of a line is the value, as it is of a Cookie header."""
    return plain(name).endswith(("cookie", "authorization"))


def _words(name: str) -> list[str]:
    """Return the words of a name: camelCase, kebab-case, snake_case; without digits."""
    return [word.lower() for word in _CAMEL.split(name) if word]
