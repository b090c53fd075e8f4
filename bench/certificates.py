"""A certificate authority of the benchmark's own, with a certificate for the collector and one for its senders."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = ("-days", "2")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files; `server` and `client` bear the name localhost and the address 127.0.0.1."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make_certificates(directory: Path) -> Certificates:
    """Make them with the `openssl` program; `subprocess.CalledProcessError` when it refuses."""
    authority, key = _made(directory, "authority", "-addext", "keyUsage=critical,keyCertSign")
    signed = ("-CA", str(authority), "-CAkey", str(key), "-addext", "basicConstraints=critical,CA:FALSE")
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    return Certificates(
        authority, *_made(directory, "server", *signed, *names), *_made(directory, "client", *signed, *names)
    )


def _made(directory: Path, name: str, *options: str) -> tuple[Path, Path]:
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    files = ("-out", str(certificate), "-keyout", str(key), "-subj", f"/CN=bench {name}")
    command = ["openssl", "req", "-x509", *_KEY, *_DAYS, *files, *options]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return certificate, key
