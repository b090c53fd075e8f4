"""The file with the key that signs tokens: made at the first start, the same for all identity services of a cloud."""

import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32
_LINE = re.compile(rb"([0-9a-f]{64})\n?")


class TokenKeyError(Exception):
    """The key cannot be had or must not be used; the message names the file, and nothing of what is in it."""


def token_key(path: Path) -> bytes:
    """The key in `path`, which is made if there is none, readable for its owner alone. TokenKeyError."""
    try:
        if not path.exists():
            _create(path)
        return _read(path)
    except OSError as exc:
        raise TokenKeyError(f"cannot use token key {path}: {exc.strerror}") from exc


def _create(path: Path) -> None:
    # Under another name until it is whole: of several that start at once one makes the key, and all read that one.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise TokenKeyError(f"cannot use token key {path}: others than its owner may read it; chmod 600")
        content = file.read(2 * KEY_BYTES + 2)
    match = _LINE.fullmatch(content)
    if match is None:
        raise TokenKeyError(f"cannot use token key {path}: it is not a line of {2 * KEY_BYTES} hexadecimal digits")
    return bytes.fromhex(match[1].decode())
