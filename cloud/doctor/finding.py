"""One thing that is inconsistent: what, where, since when, and what would mend it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cloud.doctor.remedy import Destroys, Remedy


class Kind(StrEnum):
    """As it is listed, for people and for programs."""

    GUEST_ON_TWO_HOSTS = "guest-on-two-hosts"
    GUEST_ELSEWHERE = "guest-elsewhere"
    """On a hypervisor, where the database has its instance on another host or on none."""
    GUEST_MISSING = "guest-missing"
    GUEST_UNKNOWN = "guest-unknown"
    """On a hypervisor, and the database has no such instance."""
    COPY_KEPT = "copy-kept"
    """Set aside on a hypervisor, with a disk, of an instance that does not wait for it."""
    HOST_UNKNOWN = "host-unknown"
    """An instance on a host that is no compute host."""
    NODE_STALE = "node-stale"
    CLAIM_MISSING = "claim-missing"
    CLAIM_WITHOUT_INSTANCE = "claim-without-instance"
    CLAIM_ELSEWHERE = "claim-elsewhere"
    """On a host where the instance is not and that has to do with none of its migrations."""
    CLAIM_OF_WRONG_SIZE = "claim-of-wrong-size"
    ADDRESS_WITHOUT_INSTANCE = "address-without-instance"
    TASK_LEFT = "task-left"
    """An instance with a task_state that nobody goes on with."""
    MIGRATION_LEFT = "migration-left"
    MIGRATION_UNCERTAIN = "migration-uncertain"
    """Nobody can say for long which host has its instance."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The same if found again has the same `identity`."""

    kind: Kind
    instance: str
    """Its uuid, also of one that the database does not know."""
    host: str | None
    what: str
    """In one sentence, without the uuid."""
    since: datetime | None
    """Not before then; None where nothing tells."""
    remedy: Remedy | None = None
    unmended: str | None = None
    """Why there is no remedy, or what to do by hand."""
    subject: str | None = None
    """Which of several alike it is about: an address, the id of a migration."""

    @property
    def identity(self) -> tuple[str, str, str | None, str | None]:
        return self.kind, self.instance, self.host, self.subject

    @property
    def mending(self) -> str:
        """What mending would do, or why it would do nothing."""
        if self.remedy is not None:
            return self.remedy.says
        return self.unmended or "nothing"

    def _destroys(self, what: Destroys) -> bool:
        return self.remedy is not None and self.remedy.destroys is what

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON has, times in ISO 8601."""
        return {
            "kind": str(self.kind),
            "instance": self.instance,
            "host": self.host,
            "subject": self.subject,
            "what": self.what,
            "since": None if self.since is None else self.since.isoformat(),
            "mending": self.mending,
            "is_mendable": self.remedy is not None,
            "destroys_running_guest": self._destroys(Destroys.RUNNING_GUEST),
            "destroys_copy": self._destroys(Destroys.COPY),
        }
