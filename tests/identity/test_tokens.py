"""Tokens as texts: whole and signed by us, or nothing."""

import base64
from datetime import UTC, datetime

import pytest

from cloud.logs.emit.redact import redact_text
from cloud.services.identity.tokens import Token, TokenSigner, new_audit_id
from cloud.web.auth import MAX_TOKEN_LENGTH

KEY = bytes(32)
USER = "0123456789abcdef0123456789abcdef"
PROJECT = "fedcba9876543210fedcba9876543210"


def token(project_id: str | None = PROJECT) -> Token:
    return Token(
        user_id=USER,
        user_epoch=7,
        project_id=project_id,
        project_epoch=9,
        methods=("password", "token"),
        issued_at=datetime(2014, 10, 16, 12, 0, 0, 123456, tzinfo=UTC),
        expires_at=datetime(2014, 10, 16, 13, 0, tzinfo=UTC),
        audit_id="AAECAwQFBgcICQoLDA0ODw",
    )


@pytest.mark.parametrize("project_id", [PROJECT, None])
def test_token_is_read_as_it_was_signed(project_id: str | None) -> None:
    assert TokenSigner(KEY).read(TokenSigner(KEY).sign(token(project_id))) == token(project_id)


def test_token_fits_into_urls_and_headers_and_is_what_redaction_knows() -> None:
    text = TokenSigner(KEY).sign(token())
    assert text.startswith("gAAAAA")
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len(text) < MAX_TOKEN_LENGTH // 20
    assert redact_text(f"cannot use {text} here") == "cannot use *** here"


def test_token_of_another_key_is_none() -> None:
    assert TokenSigner(bytes(31) + b"\1").read(TokenSigner(KEY).sign(token())) is None


def test_token_with_any_bit_changed_is_none() -> None:
    signed = base64.urlsafe_b64decode(TokenSigner(KEY).sign(token()) + "=")
    for bit in range(len(signed) * 8):
        changed = bytearray(signed)
        changed[bit // 8] ^= 1 << bit % 8
        assert TokenSigner(KEY).read(base64.urlsafe_b64encode(changed).rstrip(b"=").decode()) is None, bit


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace("-", "+").replace("_", "/") + "==",
        lambda text: text[: len(text) // 2],
        lambda text: text * 2,
        lambda text: "é" * 40,
        lambda text: "\ud800",
        lambda text: "A" * 5000,
        # The bits behind the last byte say nothing: another text for the same bytes.
        lambda text: text[:-1] + chr(ord(text[-1]) + 1),
    ],
)
def test_text_that_is_not_quite_a_token_is_none(spoil: object) -> None:
    text = TokenSigner(KEY).sign(token())
    assert TokenSigner(KEY).read(spoil(text)) is None  # type: ignore[operator]


def test_audit_ids_differ() -> None:
    assert len({new_audit_id() for _ in range(1000)}) == 1000
