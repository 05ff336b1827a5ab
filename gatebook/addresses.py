"""IP addresses as logs write them: with ports, brackets, zones, leading zeros, or mapped into IPv6."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_IPV4_WITH_PORT = re.compile(r"^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$")
_BRACKETED = re.compile(r"^\[([^\]]+)\](?::\d{1,5})?$")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


_LONGEST = 100
"""No address is longer; a longer text is not worth keeping in a cache either."""


def normal_address(text: str) -> str | None:
    """Return `text` as a plain IP address, or None where it is none.

    Ports, brackets and zones go, leading zeros are decimal (`075.050.255.67` is `75.50.255.67`), and
    `::ffff:192.0.2.1` is `192.0.2.1`.
    """
    return _normal_address(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _normal_address(text: str) -> str | None:
    text = text.strip()
    if match := _IPV4_WITH_PORT.match(text) or _BRACKETED.match(text):
        text = match[1]
    text = text.partition("%")[0]
    if ":" not in text:
        text = _LEADING_ZEROS.sub("", text)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
