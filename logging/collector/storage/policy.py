"""Retention as it is written: `debug 3d, rest 30d, max_gb 50`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloud.logs.emit.levels import SEVERITIES, severity_number

_SPAN = re.compile(r"(\d{1,6})([hdw])")
_SPAN_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
_SIZE = re.compile(r"\d{1,6}(\.\d{1,3})?")


class PolicyError(ValueError):
    """A text that is not a policy."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long rows are kept, and in how many bytes; the default keeps all."""

    age_s: Mapping[int, int] = field(default_factory=dict)
    """By severity (number); one that is not in it stays."""
    max_bytes: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Parts with commas between: `<severity> <age>`, `rest <age>` for all others, `max_gb <number>`."""
        given: dict[int | str, str] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition(" ")
            try:
                key: int | str = name if name in ("rest", "max_gb") else severity_number(name)
            except ValueError as exc:
                raise PolicyError(
                    f"cannot use retention {part!r}: expected {', '.join(SEVERITIES)}, rest or max_gb, and a value"
                ) from exc
            if key in given:
                raise PolicyError(f"cannot use retention {text!r}: {name} stands there twice")
            given[key] = value.strip()
        ages = {part: _age_s(part, value) for part, value in given.items() if isinstance(part, int)}
        if "rest" in given:
            ages = dict.fromkeys(range(len(SEVERITIES)), _age_s("rest", given["rest"])) | ages
        return cls(ages, _bytes(given["max_gb"]) if "max_gb" in given else None)

    @property
    def longest_s(self) -> int | None:
        """The age at which no row is kept any more; None when some severity stays."""
        return max(self.age_s.values()) if len(self.age_s) == len(SEVERITIES) else None


KEEP_ALL = Policy()


def _age_s(part: int | str, text: str) -> int:
    match = _SPAN.fullmatch(text)
    if match is None or int(match[1]) == 0:
        name = SEVERITIES[part] if isinstance(part, int) else part
        raise PolicyError(f"cannot use retention '{name} {text}': expected an age such as 12h, 3d or 4w")
    return int(match[1]) * _SPAN_S[match[2]]


def _bytes(text: str) -> int:
    if not (_SIZE.fullmatch(text) and float(text) > 0):
        raise PolicyError(f"cannot use retention 'max_gb {text}': expected a number of gigabytes such as 50")
    return int(float(text) * 1_000_000_000)
