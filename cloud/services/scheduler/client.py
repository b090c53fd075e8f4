"""Asks nova-scheduler, under the names of its manager's methods."""

from cloud.domain.host import BuildRequest, Candidate
from cloud.rpc.client import RpcClient
from cloud.rpc.topology import Target

MAX_CANDIDATES = 20
"""In one answer: more hosts than one build tries."""

_SCHEDULER = Target("scheduler")


class SchedulerClient:
    """Any nova-scheduler will do. Raises what the manager's methods raise, and the bus's errors."""

    TIMEOUT_S = 30.0

    def __init__(self, client: RpcClient, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def select_hosts(self, request: BuildRequest) -> tuple[Candidate, ...]:
        """At least one and at most MAX_CANDIDATES, best first; NoValidHostError when no host passes."""
        found = self._client.call(_SCHEDULER, "select_hosts", {"request": request.as_dict()}, timeout_s=self._timeout_s)
        return tuple(Candidate.from_dict(values) for values in found)
