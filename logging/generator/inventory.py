"""An inventory file -> what each host's files are rendered from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from cloud.logs.emit.redact import redact_text
from cloud.logs.facilities import FACILITIES
from cloud.logs.generator.collector import Collector, Tls, TlsFiles
from cloud.logs.generator.fields import (
    AbsolutePath,
    DatabaseUrl,
    Facility,
    Hostname,
    Level,
    OptionName,
    OptionValue,
    Part,
    Service,
    Severity,
    TransportUrl,
)
from cloud.logs.generator.paths import PathError, Paths, derive_paths
from cloud.logs.generator.strict_yaml import StrictYamlError, parse_yaml

Profile = Literal["default", "guide"]

ServiceOptions = Mapping[Service, Mapping[OptionName, Mapping[OptionName, OptionValue]]]
"""By service, section of its file, and option."""

LocalLogKeep = Annotated[StrictInt, Field(ge=1, le=3650)]

_DEFAULT_LEVEL = "INFO"
_DEFAULT_LOCAL_LOG_KEEP = 14
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


class Thresholds(Part):
    """The least severe line that is forwarded, of nova's services and of daemon and kern."""

    nova: Severity = _INFO
    system: Severity = _WARNING


class PathSettings(Part):
    """Paths, with what isn't given left out."""

    root: AbsolutePath | None = None
    etc: AbsolutePath | None = None
    rsyslog_d: AbsolutePath | None = None
    run: AbsolutePath | None = None
    log: AbsolutePath | None = None
    spool: AbsolutePath | None = None
    state: AbsolutePath | None = None
    libvirt_log: AbsolutePath | None = None
    logrotate_d: AbsolutePath | None = None
    systemd: AbsolutePath | None = None
    sysusers_d: AbsolutePath | None = None

    def given(self) -> dict[str, str]:
        return self.model_dump(exclude_none=True)


class _LevelSettings(Part):
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
    service_options: ServiceOptions = Field(default_factory=dict, repr=False)
    profile: Profile | None = None
    tls: TlsFiles = TlsFiles()
    durable_queue: StrictBool | None = None
    local_log_keep: LocalLogKeep | None = None
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
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """By section of its file."""


@dataclass(frozen=True, slots=True)
class Host:
    """All that a host's files are rendered from."""

    name: str
    services: tuple[HostService, ...]
    collector: Collector
    tls: Tls | None
    durable_queue: bool
    local_log_keep: int
    """How many days of nova.log are kept beside today's."""
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
        return self.collector.direct_url if self.syslog == "collector" else f"unix:{self.paths.socket}"

    @property
    def facilities(self) -> tuple[str, ...]:
        """The facilities of the host's services, each once, in order."""
        return tuple(sorted({service.facility for service in self.services}))

    @property
    def is_collector(self) -> bool:
        """Whether the collector runs here."""
        return self.collector.server is not None and self.collector.server.host == self.name

    @property
    def has_libvirt(self) -> bool:
        """Whether libvirt's log files are the host's business: it runs instances."""
        return any(service.name == "nova-compute" for service in self.services)


class Inventory(_LevelSettings):
    """The hosts of a cloud and what they share."""

    collector: Collector
    hosts: Mapping[Hostname, HostEntry]
    facilities: Mapping[Service, Facility] = Field(default_factory=dict)
    thresholds: Thresholds = Thresholds()
    """Of the default profile; the guide's forwards errors and the events."""
    profile: Profile = "default"
    durable_queue: StrictBool = False
    """Whether what waits for the collector waits on disk, where kill -9 and power cuts leave it."""
    local_log_keep: LocalLogKeep = _DEFAULT_LOCAL_LOG_KEEP
    paths: PathSettings = PathSettings()
    nova_options: Mapping[OptionName, OptionValue] = Field(default_factory=dict)
    service_options: ServiceOptions = Field(default_factory=dict, repr=False)
    """Only the service itself gets to see them."""
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
            tls=self._tls(entry),
            durable_queue=self.durable_queue if entry.durable_queue is None else entry.durable_queue,
            local_log_keep=entry.local_log_keep or self.local_log_keep,
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
            general, own = self.service_options.get(name, {}), entry.service_options.get(name, {})
            options = {section: {**general.get(section, {}), **own.get(section, {})} for section in {**general, **own}}
            yield HostService(name, facilities[name], levels.get(name, _DEFAULT_LEVEL), options)

    def _tls(self, entry: HostEntry) -> Tls | None:
        return self.collector.tls and self.collector.tls.model_copy(update=entry.tls.given)

    @model_validator(mode="after")
    def _services_without_rsyslog_have_a_port(self) -> Self:
        if self.collector.is_plain_tcp or self.collector.tcp_port:
            return self
        if direct := [name for name, entry in self.hosts.items() if entry.syslog == "collector"]:
            over = "TLS" if self.collector.tls else "RELP"
            raise ValueError(
                f"collector.tcp_port: is missing: services on {', '.join(direct)} send plain TCP,"
                f" and port {self.collector.port} takes {over}"
            )
        return self

    @model_validator(mode="after")
    def _collector_runs_on_one_of_the_hosts(self) -> Self:
        server = self.collector.server
        if server and server.host not in self.hosts:
            raise ValueError(f"collector.server.host: there is no host {server.host}")
        return self

    @model_validator(mode="after")
    def _tls_is_for_all_or_none(self) -> Self:
        for name, entry in self.hosts.items():
            if entry.tls.given and self.collector.tls is None:
                raise ValueError(f"hosts.{name}.tls: collector.tls is missing, which says what a host checks")
        return self

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
