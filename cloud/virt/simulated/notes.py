"""Small JSON files in which the simulated hypervisor keeps what must outlive it; each is there as a whole or not."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from cloud.virt.driver import VirtError


def write_text(path: Path, text: str) -> None:
    """In place of what is there."""
    new = path.with_name(f".{path.name}.{uuid4().hex}.new")
    try:
        new.write_text(text)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_note(path: Path, values: Mapping[str, Any]) -> None:
    """In place of what is there."""
    write_text(path, json.dumps(values, indent=1))


def read_note(path: Path) -> Mapping[str, Any] | None:
    """None where there is none, nor its directory; VirtError for one that cannot be understood."""
    try:
        values = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as exc:
        raise VirtError(f"cannot read {path}: {exc}") from exc
    if not isinstance(values, dict):
        raise VirtError(f"cannot read {path}: it is no object")
    return values


def lasting_id(path: Path) -> str:
    """What the file says; who comes first writes it, and everybody gets the same."""
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{uuid4().hex}.new")
    new.write_text(str(uuid4()))
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
    return path.read_text()
