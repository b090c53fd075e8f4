"""Instances and compute hosts, for a nova-compute, which has no database: it may change what is on its own host."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cloud.db.actions import FAILED
from cloud.db.instances import InstanceQuery
from cloud.domain.action import EventResult
from cloud.domain.expected import Expected
from cloud.domain.instance import Instance, TaskState
from cloud.domain.system_metadata import INJECTED_FILES
from cloud.errors import InstanceNotFoundError, InstanceStateError
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.conductor.client import PAGE_BYTES
from cloud.services.conductor.reading import check_long_texts, check_texts, read_changes, read_expected, read_node
from cloud.services.conductor.tables import Tables

PAGE_ROWS = 200
"""Instances that are read for one answer."""


class InstanceMethods:
    """The part of the manager that knows instances and compute hosts."""

    _tables: Tables

    @rpc_method
    def report_compute_node(self, node: Mapping[str, Any]) -> None:
        """Note how a compute host is."""
        self._tables.compute_nodes.report(read_node(node))

    @rpc_method
    def get_instance(self, uuid: str) -> dict[str, Any]:
        check_texts(uuid=uuid)
        return self._tables.instances.get(uuid).as_dict()

    @rpc_method
    def instances_on_host(self, host: str, after: str | None = None) -> dict[str, Any]:
        """Newest first, behind the instance `after`: `instances`, as many as fit, and whether the host `has_more`.

        Without what only a spawn needs, user data, key and injected files: one of them always fits.
        """
        check_texts(host=host, **_given(after=after))
        query = InstanceQuery(host=host, marker=after, limit=PAGE_ROWS)
        found = [_listed(instance) for instance in self._tables.instances.list(query)]
        fitting = _fitting(found)
        return {"instances": fitting, "has_more": len(fitting) < len(found) or len(found) == PAGE_ROWS}

    @rpc_method
    def update_instance(
        self, uuid: str, host: str, changes: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Compare-and-set of an instance that is on `host`; as it is then."""
        check_texts(uuid=uuid, host=host)
        wanted = read_expected(expected)
        if wanted.host not in (None, host):
            raise BadMessageError(f"cannot update instance {uuid}: host {host} expects it on host {wanted.host}")
        try:
            updated = self._tables.instances.update(uuid, read_changes(changes), expected=replace(wanted, host=host))
        except ValueError as exc:
            raise BadMessageError(str(exc)) from exc
        return updated.as_dict()

    @rpc_method
    def instance_deleted(self, uuid: str, host: str) -> None:
        """Nothing is left of it there: it is deleted, if that was asked for; a second time changes nothing."""
        check_texts(uuid=uuid, host=host)
        try:
            instance = self._on_host(uuid, host)
            self._tables.instances.delete(
                uuid, expected=Expected(task_states=(TaskState.DELETING,), host=instance.host)
            )
        except InstanceNotFoundError:
            self._tables.instances.get(uuid, deleted=True)  # unknown is something else than deleted

    @rpc_method
    def add_fault(
        self,
        uuid: str,
        host: str,
        code: int,
        message: str,
        details: str | None = None,
        fault_host: str | None = None,
    ) -> None:
        """Note why an instance that is on `host` came to be in error."""
        check_texts(uuid=uuid, host=host)
        check_long_texts(message=message, **_given(details=details))
        check_texts(**_given(fault_host=fault_host))
        if type(code) is not int or not 100 <= code <= 599:
            raise BadMessageError(f"cannot note fault of instance {uuid}: {code!r} is no status of HTTP")
        self._on_host(uuid, host)
        self._tables.instances.add_fault(uuid, code, message, details, fault_host)

    @rpc_method
    def start_event(self, uuid: str, event: str, host: str | None = None) -> None:
        """Note that a step begins of what the request of the context has asked."""
        _check_event(uuid, event, host)
        self._tables.actions.start_event(uuid, event, host=host)

    @rpc_method
    def finish_event(
        self, uuid: str, event: str, result: str, details: str | None = None, host: str | None = None
    ) -> None:
        """Note how it ended, and with it what was asked: what a host does is the last step of it."""
        _check_event(uuid, event, host)
        check_long_texts(**_given(details=details))
        try:
            ended = EventResult(result)
        except ValueError as exc:
            raise BadMessageError(f"cannot read result: {exc}") from exc
        self._tables.actions.finish_event(uuid, event, result=ended, details=details, host=host)
        self._tables.actions.finish(uuid, message=FAILED if ended is EventResult.ERROR else None)

    def _on_host(self, uuid: str, host: str) -> Instance:
        """The instance, if it is there or, being undone, nowhere any more; InstanceStateError otherwise."""
        instance = self._tables.instances.get(uuid)
        if instance.host not in (None, host):
            raise InstanceStateError(f"cannot change instance {uuid} from host {host}: it is on host {instance.host}")
        return instance


def _check_event(uuid: str, event: str, host: str | None) -> None:
    check_texts(uuid=uuid, event=event, **_given(host=host))


def _given(**values: object) -> dict[str, object]:
    """Those that are not None, where there may be none."""
    return {name: value for name, value in values.items() if value is not None}


def _listed(instance: Instance) -> dict[str, Any]:
    """As JSON has it, but for what takes much room and is needed only where it is spawned."""
    kept = {name: text for name, text in instance.system_metadata.items() if name != INJECTED_FILES}
    return replace(instance, user_data=None, key_data=None, system_metadata=kept).as_dict()


def _fitting(instances: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first ones, up to PAGE_BYTES in all; one at the least."""
    fitting: list[dict[str, Any]] = []
    size = 0
    for instance in instances:
        size += len(json.dumps(instance, ensure_ascii=False).encode(errors="backslashreplace"))
        if fitting and size > PAGE_BYTES:
            break
        fitting.append(instance)
    return fitting
