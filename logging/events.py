"""The vocabulary of `event=`: what services emit, hosts forward, explain orders and rules match, in one place."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

STARTED, PROGRESS, COMPLETED, FAILED = SUFFIXES = ("started", "progress", "completed", "failed")

SUFFIX_LEVELS: Mapping[str, int] = MappingProxyType(
    {STARTED: logging.INFO, PROGRESS: logging.INFO, COMPLETED: logging.INFO, FAILED: logging.ERROR}
)
"""The level at which a step says how it stands; a threshold above INFO leaves failures without their history."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """Named steps over several hosts, in the order in which they run; `rollback` is last, and only after a failure."""

    name: str
    steps: tuple[str, ...]

    def event(self, step: str, suffix: str) -> str:
        """`migration.transfer.failed`; `ValueError` for a step or a suffix that is not in the vocabulary."""
        if step not in self.steps or suffix not in SUFFIXES:
            raise ValueError(f"cannot name event {self.name}.{step}.{suffix}: no such step or suffix")
        return f"{self.name}.{step}.{suffix}"

    def events(self) -> tuple[str, ...]:
        """Every event, step by step, and within a step from `started` to `failed`."""
        return tuple(f"{self.name}.{step}.{suffix}" for step in self.steps for suffix in SUFFIXES)

    def suffixes_below(self, level: int) -> tuple[str, ...]:
        """The suffixes that a threshold at `level` (of Python's logging) hides; empty when it hides none."""
        return tuple(suffix for suffix in SUFFIXES if SUFFIX_LEVELS[suffix] < level)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What may happen to one kind of thing, each said in a single event."""

    name: str
    changes: tuple[str, ...]

    def event(self, change: str) -> str:
        """`instance.stop`; `ValueError` for a change that is not in the vocabulary."""
        if change not in self.changes:
            raise ValueError(f"cannot name event {self.name}.{change}: no such change")
        return f"{self.name}.{change}"

    def events(self) -> tuple[str, ...]:
        return tuple(f"{self.name}.{change}" for change in self.changes)


MIGRATION = Procedure(
    "migration",
    (
        "request",
        "source_check",
        "schedule",
        "claim",
        "dest_check",
        "pre",
        "transfer",
        "post",
        "cleanup",
        "rollback",
    ),
)
BUILD = Procedure("build", ("request", "schedule", "claim", "network", "image", "spawn"))
EVACUATE = Procedure(
    "evacuate", ("request", "source_check", "schedule", "claim", "network", "image", "spawn", "cleanup", "rollback")
)
RESIZE = Procedure(
    "resize", ("request", "schedule", "claim", "pre", "transfer", "post", "confirm", "revert", "cleanup", "rollback")
)
INSTANCE = Lifecycle("instance", ("create", "delete", "reboot", "stop", "start", "keep", "error"))
SERVICE = Lifecycle("service", ("start", "stop", "up", "down", "enable", "disable"))

RPC_TIMEOUT = "rpc.timeout"
CONFIG_APPLIED = "config.applied"
CANARY = "canary"
"""What `cloud log canary` sends and waits for: nobody's own news, so `--without-event canary` leaves it out."""
HOST_MARK = "host.mark"
"""What a host's rsyslogd itself says at regular intervals, so that silence means that something is wrong."""

PROCEDURES = (MIGRATION, BUILD, EVACUATE, RESIZE)
LIFECYCLES = (INSTANCE, SERVICE)
SINGLE_EVENTS = (RPC_TIMEOUT, CONFIG_APPLIED, CANARY, HOST_MARK)

FAMILIES = tuple(family.name for family in (*PROCEDURES, *LIFECYCLES))
"""What stands before the first dot of every event that is not in SINGLE_EVENTS."""

EVENTS = frozenset(event for family in (*PROCEDURES, *LIFECYCLES) for event in family.events()).union(SINGLE_EVENTS)
"""Every event there is."""

MIGRATION_SERVICES = ("nova-api", "nova-conductor", "nova-scheduler", "nova-compute", "nova-network")
"""The services on a migration's path: each logs stages without which it cannot be explained."""
