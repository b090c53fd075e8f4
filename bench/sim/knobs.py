"""Knobs of the simulated hypervisors, turned while they run, each for one instance alone."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NEVER_MB_PER_S = 1_000_000.0
"""An instance that dirties its memory as fast does not come to the end of a transfer."""


@dataclass(slots=True)
class _Settings:
    fail: list[str] = field(default_factory=list)
    dirty_mb_per_s: dict[str, float] = field(default_factory=dict)

    def text(self) -> str:
        dirty = ", ".join(f"{json.dumps(uuid)} = {speed}" for uuid, speed in sorted(self.dirty_mb_per_s.items()))
        return f"fail = {json.dumps(sorted(self.fail))}\ndirty_mb_per_s = {{{dirty}}}\n"


class KnobFiles:
    """Of all hosts, whose state_paths are below `hosts`. Any thread may turn them."""

    def __init__(self, hosts: Path) -> None:
        self._hosts = hosts
        self._lock = threading.Lock()
        self._settings: dict[str, _Settings] = defaultdict(_Settings)

    @contextmanager
    def failing(self, host: str, step: str, uuid: str) -> Iterator[None]:
        """That step of the instance fails on the host."""
        knob = f"{step}@{uuid}"
        with self._lock:
            self._settings[host].fail.append(knob)
            self._write(host)
        try:
            yield
        finally:
            with self._lock:
                self._settings[host].fail.remove(knob)
                self._write(host)

    @contextmanager
    def never_converging(self, host: str, uuid: str) -> Iterator[None]:
        """A transfer of the instance from the host does not end by itself."""
        with self._lock:
            self._settings[host].dirty_mb_per_s[uuid] = NEVER_MB_PER_S
            self._write(host)
        try:
            yield
        finally:
            with self._lock:
                del self._settings[host].dirty_mb_per_s[uuid]
                self._write(host)

    def _write(self, host: str) -> None:
        file = self._hosts / host / "simulated" / "knobs.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".sim")
        new.write_text(self._settings[host].text())
        new.replace(file)
