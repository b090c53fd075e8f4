"""One syslog message from its parts, as RFC 5424 section 6 writes it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

NIL = "-"
_NOT_PRINTUSASCII = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Header:
    """The parts of a header that stay the same for one sender."""

    facility: int
    hostname: str
    app_name: str

    def message(self, severity: int, created_s: float, procid: int | None, msgid: str | None, body: str) -> bytes:
        """The whole message: UTC with microseconds, no structured data, no BOM (rsyslog would keep it as text)."""
        timestamp = datetime.fromtimestamp(created_s, UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
        head = (
            f"<{self.facility * 8 + severity}>1 {timestamp}Z {_token(self.hostname, 255)} {_token(self.app_name, 48)}"
            f" {NIL if procid is None else procid} {_token(msgid, 32)} {NIL} "
        )
        return head.encode() + body.encode(errors="replace")


@lru_cache(maxsize=1024)
def _token(value: str | None, max_length: int) -> str:
    """`value` as a header field: printable ASCII without spaces, `-` when there is none."""
    return _NOT_PRINTUSASCII.sub("_", value)[:max_length] if value else NIL
