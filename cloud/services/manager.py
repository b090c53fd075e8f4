"""What a daemon does, apart from what every daemon does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oslo_config import cfg

from cloud.rpc.client import RpcClient

if TYPE_CHECKING:
    from cloud.db.engine import Database  # most services live without SQLAlchemy


@dataclass(frozen=True, slots=True)
class Parts:
    """What a manager is made from; the daemon owns all of it."""

    conf: cfg.ConfigOpts
    client: RpcClient
    database: "Database | None"
    """None in a service that has no business with the database."""


class ManagerError(Exception):
    """A reason why a daemon cannot do its work here, as a port that is taken; it ends with exit code 1."""


class Manager:
    """A daemon's own work. The bus may call those of its methods that are marked `rpc_method`, from several threads."""

    def start(self) -> None:
        """Take up work; requests may come in already."""

    def report(self) -> None:
        """Look after what is due every `report_interval` seconds, and once right after the start."""

    def say_alive(self, report: Callable[[], None]) -> None:
        """Have `report` say that the service is up, every `report_interval` seconds; or a CloudError why it cannot yet.

        It is taken for down meanwhile, and is asked again soon.
        """
        report()

    def stop(self) -> None:
        """Put down work, in bounded time; no request comes in any more."""


MakeManager = Callable[[Parts], Manager]
