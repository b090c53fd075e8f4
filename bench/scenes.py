"""What nova's services say while they work on a request: our own wording, in the shapes of a real cloud's logs."""

from dataclasses import dataclass, replace

ERR, WARNING, NOTICE, INFO, DEBUG = 3, 4, 5, 6, 7
LEVELS = {ERR: "ERROR", WARNING: "WARNING", NOTICE: "SUCCESS", INFO: "INFO", DEBUG: "DEBUG"}
"""The levels of cloud.logs.emit behind the severities."""


@dataclass(frozen=True, slots=True)
class Saying:
    """One line; for the names in braces in its text the corpus puts in values."""

    service: str
    logger: str
    src: str
    text: str
    event: str | None = None
    field: str | None = None
    """The name of a number beside the text, in JSON bodies."""
    severity: int = INFO

    def by(self, service: str) -> "Saying":
        """The same, said by another service."""
        return replace(self, service=service)


@dataclass(frozen=True, slots=True)
class Scene:
    """The lines of one request on one host, in order."""

    weight: int
    sayings: tuple[Saying, ...]
    has_user: bool = True
    """False for what a service does of its own accord: a request id, but nobody's."""
    has_instance: bool = True


def _api(text: str) -> Saying:
    return Saying("nova-api", "nova.api.openstack.requestlog", "requestlog.py:88", text, field="took_s")


def _access(verb: str, path: str) -> Saying:
    return _api(
        f'{{address}} "{verb} /v2/{{project}}/servers{path} HTTP/1.1" {{status}}, {{number}} bytes, {{seconds}} s'
    )


def _conductor(text: str, event: str | None = None) -> Saying:
    return Saying("nova-conductor", "nova.conductor.manager", f"manager.py:{100 + len(text)}", text, event)


def _scheduler(text: str, event: str | None = None) -> Saying:
    return Saying("nova-scheduler", "nova.scheduler.filter_scheduler", f"filter_scheduler.py:{len(text)}", text, event)


def _compute(text: str, event: str | None = None, field: str | None = None) -> Saying:
    return Saying("nova-compute", "nova.compute.manager", f"manager.py:{900 + len(text)}", text, event, field)


def _claim(text: str) -> Saying:
    return Saying("nova-compute", "nova.compute.claims", f"claims.py:{100 + len(text)}", text)


def _driver(text: str, field: str | None = None) -> Saying:
    return Saying("nova-compute", "nova.virt.libvirt.driver", f"driver.py:{2000 + len(text)}", text, field=field)


def _cache(text: str) -> Saying:
    return Saying("nova-compute", "nova.virt.libvirt.imagecache", f"imagecache.py:{200 + len(text)}", text)


def _tracker(text: str, field: str | None = None) -> Saying:
    return Saying(
        "nova-compute", "nova.compute.resource_tracker", f"resource_tracker.py:{500 + len(text)}", text, field=field
    )


def _network(text: str) -> Saying:
    return Saying("nova-network", "nova.network.manager", f"manager.py:{300 + len(text)}", text)


CONTROLLER = (
    Scene(24, (_access("GET", "/detail"),), has_instance=False),
    Scene(
        20,
        (
            _api("policy compute:get holds for the caller's roles, {count} rules were looked at"),
            _access("GET", "/{instance}"),
        ),
    ),
    Scene(
        14,
        (
            _api("quota reserved: 1 instance, {count} cores, {number} MB; expires after 86400 s"),
            _conductor("build request taken: flavor m1.{count}, image {image}", "build.request.started"),
            _scheduler(
                "{count} of 64 hosts pass all filters, the last one that dropped any was RamFilter",
                "build.schedule.progress",
            ),
            _scheduler(
                "host {peer} weighs most: {number} MB and {count} cores are free there", "build.schedule.completed"
            ),
            _conductor("build request handed to {peer}", "build.request.completed"),
            _access("POST", ""),
        ),
    ),
    Scene(
        8,
        (
            _api("delete asked for, the instance is active"),
            _conductor("delete handed to {peer}"),
            _network("address {address} is free again, its lease had {number} s left"),
            _access("DELETE", "/{instance}"),
        ),
    ),
    Scene(
        5,
        (
            _conductor("migration asked for: from {peer}, no destination was named", "migration.request.started"),
            _conductor("source {peer} is up, its last report is {seconds} s old", "migration.source_check.completed"),
            _scheduler("destination found among {count} hosts", "migration.schedule.completed"),
            _conductor("destination has room for {number} MB", "migration.dest_check.completed"),
            _conductor("migration handed to {peer}", "migration.request.completed"),
        ),
    ),
)
"""What happens on a controller."""

COMPUTE = (
    Scene(
        20,
        (
            _claim("claim begins: {number} MB of memory, {count} GB of disk, {count} cores"),
            _claim("memory: 128817 MB in all, {number} MB used, no limit was given"),
            _claim("disk: {number} GB in all, {count} GB used, no limit was given"),
            _compute("claim holds on this node", "build.claim.completed"),
            _network("address {address} leased on br{count}, gateway and names come from the same subnet"),
            _driver("root disk is made from image {image}"),
            _compute("lifecycle event of the hypervisor: started"),
            _compute("lifecycle event of the hypervisor: paused; task_state is spawning, power_state stays as it is"),
            _compute("lifecycle event of the hypervisor: resumed"),
            _driver("domain runs, its console listens on {address}"),
            _compute("instance spawned on the hypervisor after {seconds} s", "build.spawn.completed", "spawn_s"),
            _compute("instance built after {seconds} s", "instance.create", "build_s"),
        ),
    ),
    Scene(
        10,
        (
            _compute("instance is being deleted"),
            _driver("domain destroyed, it had run for {number} s"),
            _driver("files under /var/lib/nova/instances/{instance} deleted"),
            _compute("network taken down after {seconds} s", field="network_s"),
            _compute("instance deleted", "instance.delete"),
        ),
    ),
    Scene(
        10,
        (
            _cache("image {image} in /var/lib/nova/instances/_base/{image}: its checksum is looked at"),
            _cache("image {image} in /var/lib/nova/instances/_base/{image}: {count} instances here, {count} elsewhere"),
            _cache("base files in use: /var/lib/nova/instances/_base/{image}"),
        ),
        has_user=False,
        has_instance=False,
    ),
    Scene(
        8,
        (
            _tracker("resources of this node are audited"),
            _tracker(
                "{count} of 32 cores and {number} of 128817 MB are claimed, {seconds} GB of disk are free", "audit_s"
            ),
            _tracker("node record is up to date"),
        ),
        has_user=False,
        has_instance=False,
    ),
    Scene(
        8,
        (
            _compute("power_state is looked at: database and hypervisor agree on running"),
            _compute("lifecycle event of the hypervisor: stopped; asked for by the guest"),
        ),
        has_user=False,
    ),
    Scene(
        4,
        (
            _compute("migration prepares at the destination {peer}", "migration.pre.started"),
            _driver("disks, devices and CPU of {peer} suit the domain"),
            _driver("memory copied: {number} of 16384 MB, {count} MB are dirty again", "transfer_s"),
            _driver("memory copied: {number} of 16384 MB, the rest fits into the downtime", "transfer_s"),
            _compute("migration went over after {seconds} s", "migration.transfer.completed", "transfer_s"),
            _compute("source is cleaned up", "migration.cleanup.completed"),
        ),
    ),
)
"""What happens on a compute host."""

ASIDES = (
    Saying("", "nova.network.model", "model.py:412", "{count} addresses are cached, {number} ms old", severity=DEBUG),
    Saying("", "nova.db.api", "api.py:77", "statement took {seconds} s, {count} rows", field="took_s", severity=DEBUG),
    Saying("", "nova.quota", "quota.py:190", "usage was counted anew: {count} cores, {number} MB", severity=NOTICE),
)
"""What any service may say in between, at another severity than info; its service is that of the line before."""

WARNINGS = (
    Saying("", "nova.rpc.client", "client.py:140", "no answer after {seconds} s, asking again", severity=WARNING),
    Saying(
        "",
        "nova.virt.images",
        "images.py:61",
        "image of »Büro-Wolke №{count}« is larger than its flavor's disk",
        severity=WARNING,
    ),
    Saying(
        "",
        "nova.compute.naming",
        "naming.py:25",
        "name 東京-{count} has no form in ASCII, server-{number} is used",
        severity=WARNING,
    ),
    Saying(
        "",
        "nova.virt.libvirt.host",
        "host.py:303",
        "hypervisor answers slowly: {seconds} s",
        field="took_s",
        severity=WARNING,
    ),
)

ERRORS = (
    Saying(
        "",
        "nova.compute.manager",
        "manager.py:2204",
        "cannot plug the port into br{count}: device is busy",
        severity=ERR,
    ),
    Saying(
        "",
        "nova.virt.libvirt.guest",
        "guest.py:166",
        "cannot reach the monitor of domain {number}: timed out",
        severity=ERR,
    ),
)

TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/nova/compute/manager.py", line {number}, in _carry_out
    return self._driver.plug(instance, "br{count}", timeout_s={seconds})
  File "/usr/lib/python3/dist-packages/nova/virt/libvirt/vif.py", line {number}, in plug
    raise PortError(f"cannot plug {{port!r}}\\t(\\"busy\\")")
nova.errors.PortError: cannot plug 'tap{number}'\t("busy")"""
"""Of an error, in JSON bodies: what makes a body full of escapes."""
