"""POST /servers -> instances that wait for a host: checked, counted against the quota, and handed to a conductor."""

import secrets
import string
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from cloud.db.actions import FAILED
from cloud.db.instances import NewInstance
from cloud.db.quotas import UNLIMITED, QuotaLimits
from cloud.domain.expected import Expected
from cloud.domain.flavor import Flavor
from cloud.domain.host import BuildRequest
from cloud.domain.image import Image
from cloud.domain.instance import Instance, TaskState, VmState
from cloud.domain.keypair import Keypair
from cloud.domain.system_metadata import with_description, with_disk_config, with_files, with_image
from cloud.errors import (
    BadRequestError,
    CloudError,
    DatabaseUnavailableError,
    InstanceNotFoundError,
    InstanceStateError,
    NotFoundError,
    QuotaError,
)
from cloud.logs.emit import logger
from cloud.logs.events import BUILD
from cloud.services.api.boot_checks import (
    check_files,
    check_metadata,
    check_networks,
    check_security_groups,
    root_image,
    usable_flavor,
    usable_image,
)
from cloud.services.api.call import Call
from cloud.services.api.server_bodies import CreateServer, NewServer, SchedulerHints
from cloud.services.api.zones import COMPUTE_BINARY, in_their_zones

_ACTION = "create"
_FAULT_CODE = 500
_PASSWORD_LENGTH = 12
_PASSWORD_LETTERS = "".join(set(string.ascii_letters + string.digits) - set("Il1O0o"))
_WAITING = Expected(vm_states=(VmState.BUILDING,), task_states=(TaskState.SCHEDULING,))


@dataclass(frozen=True, slots=True)
class Booted:
    """What has come of a request: at least one instance, in the order of their launch_index."""

    instances: Sequence[Instance]
    password: str
    reservation_id: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where it is to run."""

    zone: str | None
    forced_host: str | None


def boot(call: Call, body: CreateServer) -> Booted:
    """Make as many instances of what `body` asks for as the quota allows, `min_count` or more of them.

    BadRequestError, ForbiddenError or QuotaError, and nothing was made. Otherwise each instance waits for a host, or
    is in error because no conductor could be told.
    """
    server = body.server
    counts = _counts(server)
    place = _place(call, server.availability_zone)
    flavor = usable_flavor(call, server.flavor_ref)
    if server.block_device_mapping:
        raise BadRequestError("cannot use block_device_mapping: this cloud has no volumes to boot from")
    check_networks(server.networks)
    check_security_groups(server.security_groups)
    hints = _hints(call, body)
    limits = call.parts.quotas.limits(call.project_id)
    check_metadata(server.metadata, limits)
    check_files(server.personality, limits)
    image = usable_image(call, root_image(server.image_ref, server.block_device_mapping_v2), flavor)
    keypair = _keypair(call, server.key_name)
    wanted = _Wanted(server, flavor, image, keypair, place, f"r-{secrets.token_hex(4)}")
    instances = _create(call, wanted, counts, QuotaLimits.of(limits))
    _hand_over(call, [(instance, _request(wanted, instance, hints)) for instance in instances])
    return Booted(instances, password_for(server.admin_pass), wanted.reservation_id)


def password_for(asked: str | None) -> str:
    """The one that was asked for, or a new one."""
    return asked or "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(_PASSWORD_LENGTH))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What all instances of a request have in common."""

    server: NewServer
    flavor: Flavor
    image: Image
    keypair: Keypair | None
    place: _Place
    reservation_id: str


def _counts(server: NewServer) -> range:
    """How many are enough, and one more than are wanted."""
    most = server.min_count if server.max_count is None else server.max_count
    if most < server.min_count:
        raise BadRequestError("cannot make servers: min_count is more than max_count")
    return range(server.min_count, most + 1)


def _place(call: Call, text: str | None) -> _Place:
    """`ZONE` for everybody, `ZONE:HOST` and `ZONE:HOST:NODE` for admins."""
    if text is None:
        return _Place(None, None)
    zone, *more = text.split(":")
    if more:
        call.require("compute:servers:create:forced_host")
        if len(more) > 2 or not more[0]:
            raise BadRequestError(f"cannot use availability zone {text}: it is not of the form ZONE:HOST")
        return _Place(zone or None, more[0])
    services = call.parts.services.all(binary=COMPUTE_BINARY)
    zones = {
        service.availability_zone
        for service in in_their_zones(services, call.parts.aggregates.all())
        if service.is_enabled
    }
    if zone not in zones:
        raise BadRequestError(f"cannot use availability zone {zone}: it is not available")
    return _Place(zone, None)


def _keypair(call: Call, name: str | None) -> Keypair | None:
    if name is None:
        return None
    try:
        return call.parts.keypairs.get(call.caller.user_id, name)
    except NotFoundError as exc:
        raise BadRequestError(f"cannot use key pair {name}: there is none") from exc


def _hints(call: Call, body: CreateServer) -> dict[str, list[str]]:
    """By name, of servers that the caller may see: whoever names others' would learn where they run."""
    hints: dict[str, list[str]] = {}
    for source in (body.more_hints, body.hints):
        hints |= _near(source)
    asked = sorted({uuid for uuids in hints.values() for uuid in uuids})
    for uuid in asked:
        try:
            call.parts.instances.get(uuid, project_id=call.seen_project)
        except InstanceNotFoundError as exc:
            raise BadRequestError(f"cannot heed scheduler hint: there is no server {uuid}") from exc
    return hints


def _near(hints: SchedulerHints) -> dict[str, list[str]]:
    if hints.group is not None:
        raise BadRequestError(f"cannot heed scheduler hint: there is no server group {hints.group}")
    named = {"same_host": hints.same_host, "different_host": hints.different_host}
    return {
        name: [value] if isinstance(value, str) else list(value) for name, value in named.items() if value is not None
    }


def _create(call: Call, wanted: _Wanted, counts: range, quota: QuotaLimits) -> Sequence[Instance]:
    """As many as the quota allows. Another request may take what is left meanwhile: then it is one less, and so on."""
    least, count = counts[0], counts[-1]
    if count > least:
        count = max(least, min(count, _room(call, wanted.flavor, quota, count)))
    system_metadata = _system_metadata(wanted)
    while True:
        new = [_new_instance(call, wanted, system_metadata, index, is_one_of_many=count > 1) for index in range(count)]
        try:
            return call.parts.instances.create(new, quota)
        except QuotaError:
            if count == least:
                raise
            count = max(least, _room(call, wanted.flavor, quota, count - 1))


def _room(call: Call, flavor: Flavor, quota: QuotaLimits, most: int) -> int:
    """How many more of `flavor` the project may have at the moment, `most` at the most."""
    used = call.parts.instances.usage(call.project_id)
    left = (
        (quota.instances, used.instances, 1),
        (quota.cores, used.cores, flavor.vcpus),
        (quota.ram_mb, used.ram_mb, flavor.memory_mb),
    )
    room = most
    for limit, taken, each in left:
        if limit == UNLIMITED:
            continue
        if taken > limit:  # then not even one that takes none of it
            return 0
        if each > 0:
            room = min(room, (limit - taken) // each)
    return room


def _system_metadata(wanted: _Wanted) -> Mapping[str, str]:
    """Made once, as all instances of a request have the same: there may be many, and the files in it large."""
    server = wanted.server
    system_metadata = with_disk_config(with_image({}, wanted.image), server.disk_config)
    system_metadata = with_description(system_metadata, server.description)
    return with_files(system_metadata, {file.path: file.contents for file in server.personality})


def _new_instance(
    call: Call, wanted: _Wanted, system_metadata: Mapping[str, str], index: int, *, is_one_of_many: bool
) -> NewInstance:
    server = wanted.server
    return NewInstance(
        uuid=str(uuid4()),
        project_id=call.project_id,
        user_id=call.caller.user_id,
        display_name=f"{server.name}-{index + 1}" if is_one_of_many else server.name,
        flavor=wanted.flavor,
        image_id=wanted.image.id,
        availability_zone=wanted.place.zone,
        key_name=None if wanted.keypair is None else wanted.keypair.name,
        key_data=None if wanted.keypair is None else wanted.keypair.public_key,
        user_data=server.user_data,
        has_config_drive=bool(server.config_drive),
        metadata=server.metadata,
        system_metadata=system_metadata,
        access_ip_v4=server.access_ip_v4 or None,
        access_ip_v6=server.access_ip_v6 or None,
        reservation_id=wanted.reservation_id,
        launch_index=index,
    )


def _request(wanted: _Wanted, instance: Instance, hints: dict[str, list[str]]) -> BuildRequest:
    return BuildRequest(
        instance_uuid=instance.uuid,
        project_id=instance.project_id,
        flavor=instance.flavor,
        image_id=wanted.image.id,
        image_properties=wanted.image.properties,
        min_disk_gb=wanted.image.min_disk_gb,
        min_ram_mb=wanted.image.min_ram_mb,
        availability_zone=wanted.place.zone,
        forced_host=wanted.place.forced_host,
        hints=hints,
    )


def _hand_over(call: Call, builds: Sequence[tuple[Instance, BuildRequest]]) -> None:
    """Tell a conductor of each. Once that fails no further one is tried, for each may wait long: they are in error."""
    failure: CloudError | None = None
    for instance, request in builds:
        started_s = time.monotonic()
        line = logger.bind(instance=instance.uuid)
        named = {"instance_id": instance.id, "display_name": instance.display_name}  # other lines have only the uuid
        line.bind(event=BUILD.event("request", "started"), **named).info("build requested")
        try:
            call.parts.actions.start(instance.uuid, _ACTION)
        except DatabaseUnavailableError as exc:  # told 503 for a history, a client asks for a second instance
            line.bind(error=str(exc)).warning("build is not among the instance's actions")
        if failure is None:
            try:
                call.parts.conductor.build_instance(request)
            except CloudError as exc:
                failure = exc
        line = line.bind(step_s=round(time.monotonic() - started_s, 3))
        if failure is None:
            line.bind(event=BUILD.event("request", "completed")).info("build handed over")
        else:
            _give_up(call, instance, str(failure))
            failed = line.bind(event=BUILD.event("request", "failed"), error=str(failure), cause=type(failure).__name__)
            failed.error("build cannot be handed over")


def _give_up(call: Call, instance: Instance, cause: str) -> None:
    """Fault first: nobody is to see an error without its cause."""
    call.parts.instances.add_fault(instance.uuid, _FAULT_CODE, cause)
    with suppress(InstanceStateError, InstanceNotFoundError):  # a conductor has it after all, or its owner deleted it
        call.parts.instances.update(instance.uuid, {"vm_state": VmState.ERROR, "task_state": None}, expected=_WAITING)
    call.parts.actions.finish(instance.uuid, message=FAILED)
