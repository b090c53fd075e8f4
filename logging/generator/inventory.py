"""An inventory file -> what each host's files are rendered from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from cloud.logs.emit.redact import redact_text
from cloud.logs.facilities import FACILITIES
from cloud.logs.generator.fields import (
    AbsolutePath,
    Address,
    DatabaseUrl,
    Facility,
    Hostname,
    Level,
    OptionName,
    OptionValue,
    Port,
    Service,
    Severity,
    TransportUrl,
)
from cloud.logs.generator.paths import PathError, Paths, derive_paths
from cloud.logs.generator.strict_yaml import StrictYamlError, parse_yaml

Profile = Literal["default", "guide"]

_DEFAULT_LEVEL = "INFO"
_ERR, _WARNING, _INFO = 3, 4, 6  # severities


class InventoryError(Exception):
    """An inventory that cannot be used; the message names the file and the dotted key or the line."""


def load_inventory(path: Path) -> "Inventory":
    """The inventory in `path`, every host of which can be rendered; InventoryError names all that is wrong."""
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except StrictYamlError as exc:
        raise InventoryError(f"cannot read inventory {path}, line {exc.line}: {exc}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise InventoryError(f"cannot read inventory {path}: {exc}") from exc
    try:
        return Inventory.model_validate(data)
    except ValidationError as exc:
        problems = "; ".join(_problem(error) for error in exc.errors(include_url=False))
        # No type quotes a URL; what else may hold a secret, such as a key that lost its colon, is masked here.
        raise InventoryError(f"cannot use inventory {path}: {redact_text(problems)}") from exc


def _problem(error: ErrorDetails) -> str:
    key = ".".join(_shown(part) for part in error["loc"] if part != "[key]")
    cause = str(error.get("ctx", {}).get("error", error["msg"]))
    if error["type"] == "extra_forbidden":
        cause = "unknown key"
    elif error["type"] == "missing":
        cause = "is missing"
    return f"{key}: {cause}" if key else cause


def _shown(part: int | str) -> str:
    return part if isinstance(part, str) and part.isprintable() else repr(part)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)  # it may be a secret


class CollectorAddress(_Part):
    """Where hosts send their syslog, over TCP."""

    address: Address
    port: Port

    @property
    def url(self) -> str:
        """`tcp://HOST:PORT`, an IPv6 address in brackets."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp://{host}:{self.port}"


class Thresholds(_Part):
    """The least severe line that is forwarded, of nova's services and of daemon and kern."""

    nova: Severity = _INFO
    system: Severity = _WARNING


class PathSettings(_Part):
    """Paths, with what isn't given left out."""

    root: AbsolutePath | None = None
    etc: AbsolutePath | None = None
    rsyslog_d: AbsolutePath | None = None
    run: AbsolutePath | None = None
    log: AbsolutePath | None = None
    spool: AbsolutePath | None = None
    state: AbsolutePath | None = None
    libvirt_log: AbsolutePath | None = None

    def given(self) -> dict[str, str]:
        return self.model_dump(exclude_none=True)


class _LevelSettings(_Part):
    log_level: Mapping[Service, Level] = Field(default_factory=dict)
    """By service; one level stands for all of them."""

    @field_validator("log_level", mode="before")
    @classmethod
    def _one_for_all(cls, value: object) -> object:
        return dict.fromkeys(FACILITIES, value) if isinstance(value, str) else value


class HostEntry(_LevelSettings):
    """A host as the file has it: what isn't given comes from the inventory's own keys."""

    services: tuple[Service, ...]
    syslog: Literal["rsyslog", "collector"] = "rsyslog"
    base_rsyslog: bool = False
    paths: PathSettings = PathSettings()
    nova_options: Mapping[OptionName, OptionValue] = Field(default_factory=dict)
    profile: Profile | None = None
    transport_url: TransportUrl | None = Field(default=None, repr=False)
    database: DatabaseUrl | None = Field(default=None, repr=False)

    @field_validator("services")
    @classmethod
    def _once_each(cls, services: tuple[str, ...]) -> tuple[str, ...]:
        if twice := {service for service in services if services.count(service) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} is listed more than once")
        return services

    @model_validator(mode="after")
    def _base_needs_rsyslog(self) -> Self:
        if self.base_rsyslog and self.syslog == "collector":
            raise ValueError("base_rsyslog needs syslog: rsyslog")
        return self


@dataclass(frozen=True, slots=True)
class HostService:
    """A service on a host."""

    name: str
    facility: str
    level: str


@dataclass(frozen=True, slots=True)
class Host:
    """All that a host's files are rendered from."""

    name: str
    services: tuple[HostService, ...]
    collector: CollectorAddress
    syslog: Literal["rsyslog", "collector"]
    base_rsyslog: bool
    paths: Paths
    nova_options: Mapping[str, str]
    profile: Profile
    nova_severity: int
    system_severity: int
    transport_url: str | None = field(repr=False)
    database: str | None = field(repr=False)

    @property
    def syslog_address(self) -> str:
        """Where the services' handlers send: `unix:PATH` or `tcp://HOST:PORT`."""
        return self.collector.url if self.syslog == "collector" else f"unix:{self.paths.socket}"

    @property
    def facilities(self) -> tuple[str, ...]:
        """The facilities of the host's services, each once, in order."""
        return tuple(sorted({service.facility for service in self.services}))

    @property
    def has_libvirt(self) -> bool:
        """Whether libvirt's log files are the host's business: it runs instances."""
        return any(service.name == "nova-compute" for service in self.services)


class Inventory(_LevelSettings):
    """The hosts of a cloud and what they share."""

    collector: CollectorAddress
    hosts: Mapping[Hostname, HostEntry]
    facilities: Mapping[Service, Facility] = Field(default_factory=dict)
    thresholds: Thresholds = Thresholds()
    """Of the default profile; the guide's forwards errors and the events."""
    profile: Profile = "default"
    paths: PathSettings = PathSettings()
    nova_options: Mapping[OptionName, OptionValue] = Field(default_factory=dict)
    transport_url: TransportUrl | None = Field(default=None, repr=False)
    database: DatabaseUrl | None = Field(default=None, repr=False)
    """Only services that may open it get to see it."""

    def host(self, name: str) -> Host:
        """The host with everything filled in; InventoryError when there is none of that name."""
        if name not in self.hosts:
            raise InventoryError(f"cannot find host {name}: the inventory has {', '.join(self.hosts) or 'none'}")
        entry = self.hosts[name]
        profile = entry.profile or self.profile
        return Host(
            name=name,
            services=tuple(self._services(entry)),
            collector=self.collector,
            syslog=entry.syslog,
            base_rsyslog=entry.base_rsyslog,
            paths=derive_paths({**self.paths.given(), **entry.paths.given()}),
            nova_options={**self.nova_options, **entry.nova_options},
            profile=profile,
            nova_severity=self.thresholds.nova if profile == "default" else _ERR,
            system_severity=self.thresholds.system if profile == "default" else _ERR,
            transport_url=entry.transport_url or self.transport_url,
            database=entry.database or self.database,
        )

    def _services(self, entry: HostEntry) -> Iterator[HostService]:
        facilities = {**FACILITIES, **self.facilities}
        levels = {**self.log_level, **entry.log_level}
        for name in entry.services:
            yield HostService(name, facilities[name], levels.get(name, _DEFAULT_LEVEL))

    @model_validator(mode="after")
    def _every_host_has_a_place(self) -> Self:
        owners: dict[PurePosixPath, str] = {}
        for name in self.hosts:
            try:
                host = self.host(name)
            except PathError as exc:
                raise ValueError(f"hosts.{name}.paths.{exc.key}: {exc}") from exc
            # Hosts with our base configuration are those that share a machine.
            if host.base_rsyslog and (owner := owners.setdefault(host.paths.run, name)) != name:
                raise ValueError(f"hosts.{name}.paths.run: {host.paths.run} belongs to {owner}")
        return self
