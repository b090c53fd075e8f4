"""What `cloud log tail` says beside its lines: that they come late, that some are left out, that it was cut off."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloud.cli.log_asking import warn

if TYPE_CHECKING:
    from cloud.logs.query.client import Hearing


class Said:
    """Says it all on stderr."""

    def __init__(self) -> None:
        self.last_arrived: str | None = None
        """When the last line that was shown came to the collector: what is left out behind it came later."""

    def hearing(self) -> "Hearing":
        from cloud.logs.query.client import Hearing

        return Hearing(_away, _back, _status, self._skipped)

    def _skipped(self, skipped: Mapping[str, Any]) -> None:
        lines = "an unknown number of" if skipped["lines"] is None else skipped["lines"]
        said = f"too far behind: {lines} lines left out, of the {skipped['rows']} that have come meanwhile"
        found = f"--since {self.last_arrived or '7d'} and {skipped['query']} beside the query"
        warn("tail", f"{said}; cloud log search finds them with {found}")


def _away(why: str) -> None:
    warn("tail", why)


def _back(row_id: int) -> None:
    warn("tail", f"the collector is there again; going on behind row {row_id}")


def _status(status: Mapping[str, Any]) -> None:
    said = [f"lines are stored {status['lag_s']:.0f} s late"] if status["lag_s"] >= 1 else ["lines are stored in time"]
    if status["behind_s"] >= 1:
        said.append(f"they are shown {status['behind_s']:.0f} s late: this reader is slow")
    if status["dropped"]:
        said.append(f"{status['dropped']} lines dropped of hosts that are over their budgets")
    warn("tail", "; ".join(said))
