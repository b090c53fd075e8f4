"""What a user sends as a public key -> its fingerprint; or a new pair, whose private half nobody keeps."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SSH: Final = "ssh"
X509: Final = "x509"

MAX_KEY_LENGTH = 16_384
"""An RSA key of 16384 bits has some 2800 characters; a certificate with a chain of names, a few thousand."""

_RSA_BITS = 2048
_RSA_EXPONENT = 65537
_COMMENT = "Generated-by-Nova"
_CERTIFICATE_AGE = timedelta(days=3650)
_USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_DER_UTF8_STRING = 0x0C
_MAX_SHORT_DER = 127  # what one byte of length can say (X.690 section 8.1.3.4)


class PublicKeyError(ValueError):
    """What was sent is no public key of its kind; the message says why, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class NewPair:
    """`private_key` is PEM, for whoever asked, once."""

    public_key: str
    fingerprint: str
    private_key: str = field(repr=False)


def fingerprint(kind: str, public_key: str) -> str:
    """In hexadecimal with colons: MD5 of an SSH key as OpenSSH showed it in 2014, SHA-1 of a certificate.

    PublicKeyError for what is not exactly one key of that kind.
    """
    if len(public_key) > MAX_KEY_LENGTH:
        raise PublicKeyError(f"it has more than {MAX_KEY_LENGTH} characters")
    return _certificate_fingerprint(public_key) if kind == X509 else _ssh_fingerprint(public_key)


def generate(kind: str, user_id: str) -> NewPair:
    """A pair with an RSA key of 2048 bits: images of 2014 know no newer kind.

    A certificate is for the client authentication of `user_id`; PublicKeyError for an id that none can carry.
    """
    private_key = rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    if kind == X509:
        certificate = _certificate(private_key, user_id)
        public_key = certificate.public_bytes(Encoding.PEM).decode()
    else:
        encoded = private_key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        public_key = f"{encoded} {_COMMENT}"
    return NewPair(public_key, fingerprint(kind, public_key), pem)


def _ssh_fingerprint(public_key: str) -> str:
    line = public_key.strip()
    # A second line would be a second key in the instance's authorized_keys, of which no fingerprint tells.
    if not line.isprintable():
        raise PublicKeyError("it is not one line of printable characters")
    try:
        load_ssh_public_key(line.encode())
        blob = base64.b64decode(line.split()[1])
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise PublicKeyError("it is no SSH public key") from exc
    return _colons(hashlib.md5(blob, usedforsecurity=False).digest())


def _certificate_fingerprint(pem: str) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as exc:
        raise PublicKeyError("it is no X.509 certificate in PEM") from exc
    return _colons(certificate.fingerprint(SHA1()))  # noqa: S303 - a name for it, which is what nova shows


def _certificate(private_key: rsa.RSAPrivateKey, user_id: str) -> x509.Certificate:
    principal = f"{user_id}@localhost".encode()
    if len(principal) > _MAX_SHORT_DER:
        raise PublicKeyError("a certificate cannot carry a user id of that length")
    try:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id)])
    except ValueError as exc:
        raise PublicKeyError("a certificate cannot carry a user id of that length") from exc
    now = datetime.now(UTC)
    encoded = bytes((_DER_UTF8_STRING, len(principal))) + principal
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _CERTIFICATE_AGE)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.OtherName(_USER_PRINCIPAL_NAME, encoded)]), critical=False)
        .sign(private_key, SHA256())
    )


def _colons(digest: bytes) -> str:
    return digest.hex(":")
