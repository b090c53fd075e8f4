"""Where a host's services send their lines, as its logging.conf files say."""

import ast
import configparser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.logs.emit.transport import transport_for
from cloud.logs.facilities import FACILITIES, LOCAL_FACILITIES, facility_number

_FILES = "*logging.conf"  # nova-api-logging.conf and its like; the guide has one logging.conf for all
_HANDLER = "cloud.logs.emit.syslog.SyslogHandler"


class CanaryError(Exception):
    """There is nothing to begin with; no line has been sent."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """A facility of a host: the address that its services send to, and their names, which may be none."""

    facility: str
    address: str
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostOutlets:
    """A host's name, and its outlets in the order of their facilities' numbers."""

    name: str
    outlets: tuple[Outlet, ...]

    def only(self, facilities: Sequence[str]) -> "HostOutlets":
        """Those of `facilities`; one that no service here has uses the address of the others."""
        known = {outlet.facility: outlet for outlet in self.outlets}
        wanted = sorted(set(facilities), key=facility_number)
        address = self.outlets[0].address
        return HostOutlets(self.name, tuple(known.get(each) or Outlet(each, address) for each in wanted))


def given_outlets(host: str, address: str) -> HostOutlets:
    """All of LOCAL0 to LOCAL7 at one address, with the services that have them unless an inventory says otherwise."""
    _check(address)
    return HostOutlets(
        host,
        tuple(
            Outlet(facility, address, tuple(name for name, has in FACILITIES.items() if has == facility))
            for facility in LOCAL_FACILITIES
        ),
    )


def read_outlets(directory: Path, host: str | None = None, address: str | None = None) -> HostOutlets:
    """The outlets that the logging.conf files in `directory` name; `host` and `address` win over what they say.

    `CanaryError` when no file is there, one cannot be read, or the files do not agree on the host.
    """
    found = [each for file in _files(directory) for each in _handlers(file)]
    if not found:
        raise CanaryError(f"cannot find where services log: no {_FILES} in {directory} names {_HANDLER}")
    names = sorted({each.hostname for each in found})
    if host is None and len(names) > 1:
        raise CanaryError(f"cannot tell the host: the files in {directory} name {', '.join(names)}; use --host")
    outlets: dict[str, Outlet] = {}
    for each in sorted(found, key=lambda each: facility_number(each.facility)):
        known = outlets.get(each.facility) or Outlet(each.facility, address or each.address)
        outlets[each.facility] = Outlet(known.facility, known.address, (*known.services, each.app_name))
    for outlet in outlets.values():
        _check(outlet.address)
    return HostOutlets(host or names[0], tuple(outlets.values()))


@dataclass(frozen=True, slots=True)
class _Handler:
    address: str
    facility: str
    app_name: str
    hostname: str


def _files(directory: Path) -> Sequence[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.match(_FILES))
    except OSError as exc:
        raise CanaryError(f"cannot find where services log: {exc.strerror} {directory}") from exc


def _handlers(file: Path) -> Iterator[_Handler]:
    """Of other handlers, such as those of the guide's own logging.conf, nothing is known."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(file.read_text(encoding="utf-8"), source=file.name)
        for section in parser.sections():
            if section.startswith("handler_") and parser.get(section, "class", fallback="") == _HANDLER:
                yield _handler(
                    ast.literal_eval(parser.get(section, "args")), ast.literal_eval(parser.get(section, "kwargs"))
                )
    except (OSError, configparser.Error, ValueError, SyntaxError, LookupError, TypeError) as exc:
        raise CanaryError(f"cannot read {file}: {' '.join(str(exc).split())}") from exc


def _handler(args: Any, kwargs: Any) -> _Handler:
    handler = _Handler(args[0], kwargs["facility"], kwargs["app_name"], kwargs["hostname"])
    facility_number(handler.facility)
    return handler


def _check(address: str) -> None:
    try:
        transport_for(address)
    except ValueError as exc:
        raise CanaryError(str(exc)) from exc
