"""The file that a shell reads to sign in: whole or not there, and for its owner alone."""

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = "# For `. FILE`: who signs in to the cloud, and where. Keep it to yourself.\n"


class OpenrcError(Exception):
    """The file cannot be written or read; the message names it and the cause."""


@dataclass(frozen=True, slots=True)
class Openrc:
    """What the file says; `public_url` is identity's, without a version."""

    public_url: str
    region: str
    user: str
    project: str
    password: str = field(repr=False)

    def text(self) -> str:
        """As commands of a shell, whatever the values hold."""
        values = {
            "OS_AUTH_URL": f"{self.public_url.rstrip('/')}/v2.0",
            "OS_USERNAME": self.user,
            "OS_PASSWORD": self.password,
            "OS_TENANT_NAME": self.project,
            "OS_PROJECT_NAME": self.project,
            "OS_REGION_NAME": self.region,
        }
        return _HEAD + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def read_openrc(path: Path) -> dict[str, str]:
    """The variables that the file sets; OpenrcError when it cannot be read."""
    try:
        words = shlex.split(path.read_text(), comments=True)
    except (OSError, ValueError) as exc:
        raise OpenrcError(f"cannot read {path}: {exc}") from exc
    return dict(word.split("=", 1) for word in words if "=" in word)


@contextmanager
def written(openrc: Openrc, path: Path, *, replaces: bool) -> Iterator[None]:
    """The file stands ready beside `path` while the block runs, and gets its name when the block has succeeded.

    So what the file says is lost by nobody: whatever keeps it from being written shows before the block. OpenrcError,
    also for a file that is there already, unless it `replaces` that.
    """
    try:
        if not replaces and os.path.lexists(path):
            raise FileExistsError(17, "it is there already")
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    except OSError as exc:
        raise _error(path, exc) from exc
    try:
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(openrc.text())
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise _error(path, exc) from exc
        yield
        try:
            if replaces:
                Path(name).replace(path)
            else:
                os.link(name, path)  # fails where something has come in between, and follows no link
        except OSError as exc:
            raise _error(path, exc) from exc
    finally:
        Path(name).unlink(missing_ok=True)


def _error(path: Path, exc: OSError) -> OpenrcError:
    return OpenrcError(f"cannot write {path}: {exc.strerror}")
