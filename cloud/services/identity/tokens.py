"""Tokens: what one says, signed, and back; no database is asked whether it was issued."""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

PASSWORD = "password"  # noqa: S105 - v3's name of the method
TOKEN = "token"  # noqa: S105
EC2 = "ec2credential"
METHODS = (PASSWORD, TOKEN, EC2)
"""How one may come by a token, as v3 names it; a token says which of them it goes back to."""

_VERSION = 0x80
_AUDIT_ID_BYTES = 16
_NO_PROJECT = bytes(16)
# Version and seconds of issue stand where a Fernet token of Keystone has them, so ours begin with gAAAAA too: by that
# any redaction, ours included, knows a token wherever it appears.
_LAYOUT = struct.Struct(f">BQIQ16s16sII{_AUDIT_ID_BYTES}sB")
_MAC_BYTES = hashlib.sha256().digest_size
_PURPOSE = b"cloud identity token 1\0"


@dataclass(frozen=True, slots=True)
class Token:
    """Who may act until when, and for which project if any. The times are aware; `expires_at` has whole seconds."""

    user_id: str
    user_epoch: int
    project_id: str | None
    project_epoch: int
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    audit_id: str
    """What it is known by where the token itself must not appear."""


def new_audit_id() -> str:
    return _text(secrets.token_bytes(_AUDIT_ID_BYTES))


class TokenSigner:
    """Whoever has the key can make tokens that are good everywhere in the cloud."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, token: Token) -> str:
        """The token as text that URLs and headers take, of some 150 characters."""
        issued_us = (token.issued_at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
        content = _LAYOUT.pack(
            _VERSION,
            issued_us // 1_000_000,
            issued_us % 1_000_000,
            int(token.expires_at.timestamp()),
            bytes.fromhex(token.user_id),
            bytes.fromhex(token.project_id) if token.project_id else _NO_PROJECT,
            token.user_epoch,
            token.project_epoch,
            base64.urlsafe_b64decode(token.audit_id + "=="),
            _bits(token.methods),
        )
        return _text(content + self._mac(content))

    def read(self, text: str) -> Token | None:
        """What a text says that this key has signed; None for any other. Whether it has expired is not looked at."""
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        content, mac = signed[: _LAYOUT.size], signed[_LAYOUT.size :]
        if not hmac.compare_digest(mac, self._mac(content)) or _text(signed) != text:  # one token has one text
            return None
        version, issued_s, issued_us, expires_s, user, project, user_epoch, project_epoch, audit_id, methods = (
            _LAYOUT.unpack(content)
        )
        if version != _VERSION:
            return None
        return Token(
            user_id=user.hex(),
            user_epoch=user_epoch,
            project_id=None if project == _NO_PROJECT else project.hex(),
            project_epoch=project_epoch,
            methods=tuple(method for bit, method in enumerate(METHODS) if methods >> bit & 1),
            issued_at=datetime.fromtimestamp(issued_s, UTC) + timedelta(microseconds=issued_us),
            expires_at=datetime.fromtimestamp(expires_s, UTC),
            audit_id=_text(audit_id),
        )

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + content, hashlib.sha256)


def _bits(methods: Sequence[str]) -> int:
    return sum(1 << METHODS.index(method) for method in set(methods))


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
