"""nova-scheduler: reads how the hosts are, says which of them may take an instance, and writes nothing but its log."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cloud.db.hosts import ComputeNodeTable
from cloud.domain.host import BuildRequest, HostState
from cloud.errors import NoValidHostError
from cloud.logs.emit import logger
from cloud.rpc.errors import BadMessageError
from cloud.rpc.methods import rpc_method
from cloud.services.manager import Manager, Parts
from cloud.services.scheduler.client import MAX_CANDIDATES
from cloud.services.scheduler.hints import asked_instances
from cloud.services.scheduler.options import configured_rules
from cloud.services.scheduler.reading import read_request
from cloud.services.scheduler.scheduler import Choice, Rules, select

MAX_HOSTS_SAID = 50
"""Names of refused hosts in one line of the log."""

ReadStates = Callable[[Collection[str]], Sequence[HostState]]
"""All hosts as they are now, with those of the given instances that each has."""


class SchedulerManager(Manager):
    """Its methods have the names that SchedulerClient calls."""

    def __init__(self, read_states: ReadStates, rules: Rules, chance: random.Random) -> None:
        self._read_states = read_states
        self._rules = rules
        self._chance = chance

    @rpc_method
    def select_hosts(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Candidates best first, at least one and at most MAX_CANDIDATES.

        NoValidHostError when no host passes, with what each filter left; BadMessageError for a request that cannot
        be read.
        """
        try:
            wanted = read_request(request)
            asked = asked_instances(wanted)
        except ValueError as exc:
            raise BadMessageError(f"cannot read request: {exc}") from exc
        choice = select(self._read_states(asked), wanted, self._rules, self._chance)
        _say(choice, wanted)
        if not choice.candidates:
            raise NoValidHostError(f"no valid host: {choice.explain()}")
        return [candidate.as_dict() for candidate in choice.candidates[:MAX_CANDIDATES]]


def _say(choice: Choice, request: BuildRequest) -> None:
    for each in choice.results:
        if each.refused:
            logger.bind(
                instance=request.instance_uuid,
                filter=each.filter,
                refused=len(each.refused),
                refused_hosts=each.refused[:MAX_HOSTS_SAID],
            ).debug("hosts refused")
    logger.bind(
        instance=request.instance_uuid,
        hosts=choice.host_count,
        filters={each.filter: [each.before, each.after] for each in choice.results},
        candidates=len(choice.candidates),
        best_host=choice.candidates[0].host if choice.candidates else None,
    ).info("hosts filtered")


def make_manager(parts: Parts) -> SchedulerManager:
    """The manager as `parts.conf` says."""
    if parts.database is None:
        raise ValueError("nova-scheduler needs a database")
    conf = parts.conf
    nodes = ComputeNodeTable(
        parts.database,
        lambda: datetime.now(UTC),
        down_after_s=conf.service_down_time,
        default_zone=conf.default_availability_zone,
    )
    chance = random.Random()  # noqa: S311 - it spreads instances and keeps no secret
    return SchedulerManager(nodes.states, configured_rules(conf), chance)
