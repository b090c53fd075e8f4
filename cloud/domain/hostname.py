"""The name of an instance as its own system may call itself (RFC 952, RFC 1123)."""

import re

MAX_LENGTH = 63
"""Of a label in DNS."""

_SEPARATORS = re.compile(r"[ _]")
_NOT_ALLOWED = re.compile(r"[^0-9A-Za-z.-]")


def hostname_of(display_name: str, uuid: str) -> str:
    """As nova does: `Web 1` is `web-1`, and a name of which nothing is left becomes `Server-` and the uuid."""
    name = _NOT_ALLOWED.sub("", _SEPARATORS.sub("-", display_name))
    return name.lower().strip(".-")[:MAX_LENGTH].rstrip(".-") or f"Server-{uuid}"[:MAX_LENGTH]
