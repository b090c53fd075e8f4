"""Syslog facilities: which one each service writes to unless an inventory says otherwise, and their numbers.

A facility stands for a group of services, the APP-NAME for the service: there are more services than local0..local7.
"""

from collections.abc import Mapping
from types import MappingProxyType

FACILITIES: Mapping[str, str] = MappingProxyType(
    {
        "nova-api": "local0",
        "nova-compute": "local1",
        "nova-scheduler": "local2",
        "nova-conductor": "local2",
        "nova-network": "local3",
        "nova-cert": "local4",
        "nova-consoleauth": "local4",
        "nova-novncproxy": "local4",
        "nova-objectstore": "local5",
        "image": "local5",
        "identity": "local6",
        "volume": "local6",
    }
)
"""The facility of each service that an inventory may name."""

COLLECTOR_FACILITY = "local7"
"""The collector's own lines."""

FACILITY_NUMBERS: Mapping[str, int] = MappingProxyType(
    {
        "kern": 0,
        "user": 1,
        "mail": 2,
        "daemon": 3,
        "auth": 4,
        "syslog": 5,
        "lpr": 6,
        "news": 7,
        "uucp": 8,
        "cron": 9,
        "authpriv": 10,
        "ftp": 11,
        "local0": 16,
        "local1": 17,
        "local2": 18,
        "local3": 19,
        "local4": 20,
        "local5": 21,
        "local6": 22,
        "local7": 23,
    }
)
"""RFC 5424 table 1, under the names that syslog(3) and rsyslog use; 12 to 15 have no name there."""

LOCAL_FACILITIES = tuple(name for name, number in FACILITY_NUMBERS.items() if number >= FACILITY_NUMBERS["local0"])


def facility_number(name: str) -> int:
    """The number of a facility's name; `ValueError` for a name that is not in FACILITY_NUMBERS."""
    try:
        return FACILITY_NUMBERS[name]
    except KeyError:
        raise ValueError(f"cannot use facility {name!r}: expected one of {', '.join(FACILITY_NUMBERS)}") from None


def facility_name(number: int) -> str:
    """The name of a facility's number, or the number as text where syslog(3) has no name for it."""
    return _NAMES.get(number, str(number))


_NAMES = {number: name for name, number in FACILITY_NUMBERS.items()}
