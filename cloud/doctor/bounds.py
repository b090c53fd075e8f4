"""From when on something that should come to its end by itself is taken not to."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Bounds:
    """`older_than` is for whatever nobody has changed for so long."""

    older_than: timedelta = timedelta(minutes=30)
    build_timeout: timedelta = timedelta(minutes=30)
    """nova.conf's `instance_build_timeout`, before which no build, rebuild or snapshot is given up; 0: never."""

    @property
    def long_work(self) -> timedelta:
        return max(self.older_than, self.build_timeout)
