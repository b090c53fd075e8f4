"""Types of an inventory's values: each refuses what would break out of the line or the quotes it is rendered into."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from cloud.logs.emit.levels import severity_number
from cloud.logs.facilities import FACILITIES, LOCAL_FACILITIES

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")  # RFC 1123 2.1
_PATH = re.compile(r"/[A-Za-z0-9/._+@=-]*")
_PEER_NAME = re.compile(r"(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_AGE = re.compile(r"[1-9][0-9]{0,5}[mhd]")
_OPTION_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+]*)://[A-Za-z0-9._~:/?#\[\]@!$&'()+*,;=%-]+")  # RFC 3986 2.2, 2.3
_TRANSPORT_SCHEMES = ("amqp", "amqps", "redis", "rediss", "redis+socket")
_HTTP_SCHEMES = ("http", "https")
_DATABASE_SCHEMES = ("sqlite", "postgresql", "postgresql+psycopg")
_IS_DATABASE = "it is the key database, and only for the services that may open it"
_RENDERED_OPTIONS = {
    "host": "it is the host's name",
    "state_path": "it is paths.state",
    "transport_url": "it is the key transport_url",
    "transport-url": "it is the key transport_url",
    "connection": _IS_DATABASE,
    "sql_connection": _IS_DATABASE,  # as the guide's nova.conf has it
    "sql-connection": _IS_DATABASE,
    "log-config": "each service gets its own",
    "log_config": "each service gets its own",
    "log_config_append": "each service gets its own",
}


class Part(BaseModel):
    """A mapping of an inventory: no keys but the ones it knows, and no value of it in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)  # it may be a secret


def _hostname(value: str) -> str:
    if len(value) > 253 or not _HOSTNAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a host name")
    return value


def _address(value: str) -> str:
    try:
        if "%" not in value:  # a zone, which logging.conf would take for an interpolation
            return str(ipaddress.ip_address(value))
    except ValueError:
        if not value.rpartition(".")[2].isdigit():  # 10.0.0.256 is no host name either
            return _hostname(value)
    raise ValueError(f"{value!r} is neither an IP address nor a host name")


def _peer_name(value: str) -> str:
    if not _PEER_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not the name in a certificate, such as logs.example.org")
    return value


def _age(value: str) -> str:
    if not _AGE.fullmatch(value):
        raise ValueError(f"{value!r} is not an age such as 30d, 12h or 90m")
    return value


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise ValueError(f"{value!r} is not an absolute path of letters, digits and ._+@=-")
    if ".." in value.split("/"):
        raise ValueError(f"{value!r} must not contain ..")
    return "/" + value.strip("/")


def _url(value: object, schemes: tuple[str, ...]) -> str:
    """No message quotes `value`: it may hold a password."""
    if not isinstance(value, str):
        raise ValueError("is not a URL")
    match = _URL.fullmatch(value)
    if match is None or match["scheme"] not in schemes:
        expected = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"is not a URL of printable ASCII (others as %XX) that begins with one of {expected}")
    return value


def _transport_url(value: object) -> str:
    return _url(value, _TRANSPORT_SCHEMES)


def _database_url(value: object) -> str:
    return _url(value, _DATABASE_SCHEMES)


def _http_url(value: object) -> str:
    return _url(value, _HTTP_SCHEMES)


def _service(value: str) -> str:
    if value not in FACILITIES:
        raise ValueError(f"unknown service {value!r}: expected one of {', '.join(FACILITIES)}")
    return value


def _facility(value: str) -> str:
    if value not in LOCAL_FACILITIES:
        raise ValueError(f"unknown facility {value!r}: expected one of {', '.join(LOCAL_FACILITIES)}")
    return value


def _level(value: str) -> str:
    if value not in LEVELS:
        raise ValueError(f"unknown level {value!r}: expected one of {', '.join(LEVELS)}")
    return value


def _severity(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not the name of a severity")
    return severity_number(value)


def _option_name(value: str) -> str:
    if not _OPTION_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of an option")
    if reason := _RENDERED_OPTIONS.get(value):
        raise ValueError(f"{value} cannot be given: {reason}")
    return value


def _option_value(value: object) -> str:
    if not isinstance(value, str | int | float):  # a bool is an int, and oslo.config reads True and False
        raise ValueError(f"a {type(value).__name__} is neither text nor a number nor a boolean")
    text = str(value)
    if not text.isprintable():
        raise ValueError("the value holds a line break or another control character")  # it may be a secret
    return text


Hostname = Annotated[str, AfterValidator(_hostname)]
Address = Annotated[str, AfterValidator(_address)]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]
AbsolutePath = Annotated[str, AfterValidator(_path)]
PeerName = Annotated[str, AfterValidator(_peer_name)]
Age = Annotated[str, AfterValidator(_age)]
Service = Annotated[str, AfterValidator(_service)]
Facility = Annotated[str, AfterValidator(_facility)]
Level = Annotated[str, AfterValidator(_level)]
Severity = Annotated[int, BeforeValidator(_severity)]
"""A severity's name as RFC 5424 table 2 or syslog(3) has it, kept as its number: 0 emerg to 7 debug."""
TransportUrl = Annotated[str, BeforeValidator(_transport_url)]
DatabaseUrl = Annotated[str, BeforeValidator(_database_url)]
HttpUrl = Annotated[str, BeforeValidator(_http_url)]
OptionName = Annotated[str, AfterValidator(_option_name)]
OptionValue = Annotated[str, BeforeValidator(_option_value)]
