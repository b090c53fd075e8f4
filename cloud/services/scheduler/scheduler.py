"""Hosts as they are and what is wanted of one -> those that may take it, best first, and what each filter left."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from cloud.domain.host import BuildRequest, Candidate, HostState
from cloud.services.scheduler.filters.filter import Filter
from cloud.services.scheduler.filters.forced_host import ForcedHostFilter, RequestedHostFilter, UpFilter
from cloud.services.scheduler.filters.retry import RetryFilter
from cloud.services.scheduler.filters.storage import StorageFilter
from cloud.services.scheduler.ratios import Ratios
from cloud.services.scheduler.weighers.weigher import Weigher

MAX_STEPS_LENGTH = 180
"""Of an explanation: a fault has room for 255 characters, also for what stands in front of it."""

FORCED_FILTERS: Sequence[Filter] = (ForcedHostFilter(), UpFilter(), RetryFilter())
"""What a forced host still has to pass; where it has failed already it would fail again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a choice is made."""

    filters: Sequence[Filter]
    """In the order in which they are asked."""
    weighers: Sequence[tuple[Weigher, float]] = ()
    """Each with its multiplier; a negative one turns its order round."""
    ratios: Ratios = field(default_factory=Ratios)
    subset_size: int = 1
    """Of so many best hosts any may come first, so that schedulers that choose at the same moment choose apart."""


@dataclass(frozen=True, slots=True)
class FilterResult:
    """What one filter was given, and which hosts it refused."""

    filter: str
    before: int
    refused: tuple[str, ...]

    @property
    def after(self) -> int:
        return self.before - len(self.refused)


@dataclass(frozen=True, slots=True)
class Choice:
    """Candidates best first, and how it came to that. Filters are asked until no host is left."""

    host_count: int
    """How many there were to choose from."""
    results: tuple[FilterResult, ...]
    candidates: tuple[Candidate, ...]

    def explain(self) -> str:
        """`8 hosts; ComputeFilter 8 -> 5, RamFilter 5 -> 0`: those that refused any, and no names of hosts.

        Of too many, the last ones are kept.
        """
        steps = [f"{each.filter} {each.before} -> {each.after}" for each in self.results if each.refused]
        said = ", ".join(steps)
        while len(said) > MAX_STEPS_LENGTH:
            steps = steps[1:]
            said = ", ".join(["...", *steps])
        hosts = f"{self.host_count} host{'' if self.host_count == 1 else 's'}"
        return f"{hosts}; {said}" if said else hosts


def select(states: Sequence[HostState], request: BuildRequest, rules: Rules, chance: random.Random) -> Choice:
    """Every host of `states` that passes the filters is a candidate. `chance` decides between equals.

    A host that an admin forces is asked for no more than FORCED_FILTERS, and for the storage where one is requested;
    what may be claimed there is limited as ever.
    One that is requested is asked for all.
    """
    filters = _filters(rules, request)
    left = list(states)
    results = []
    for each in filters:
        if not left:
            break
        passes = [each.passes(host, request) for host in left]
        refused = tuple(host.node.host for host, has_passed in zip(left, passes, strict=True) if not has_passed)
        results.append(FilterResult(each.name, len(left), refused))
        left = list(compress(left, passes))
    candidates = [
        Candidate(host.node.host, host.node.node, rules.ratios.limits(host.node.total), weight)
        for host, weight in zip(left, _weights(left, rules.weighers), strict=True)
    ]
    return Choice(len(states), tuple(results), tuple(_ordered(candidates, rules.subset_size, chance)))


def _filters(rules: Rules, request: BuildRequest) -> Sequence[Filter]:
    first: Sequence[Filter] = () if request.storage_id is None else (StorageFilter(),)
    if request.forced_host is not None:
        return (*FORCED_FILTERS, *first)
    if request.requested_host is not None:
        first = (RequestedHostFilter(), *first)
    return (*first, *rules.filters)


def _ordered(candidates: list[Candidate], subset_size: int, chance: random.Random) -> list[Candidate]:
    chance.shuffle(candidates)
    candidates.sort(key=lambda candidate: candidate.weight, reverse=True)  # stable: equals stay shuffled
    if candidates:
        candidates.insert(0, candidates.pop(chance.randrange(min(subset_size, len(candidates)))))
    return candidates


def _weights(hosts: Sequence[HostState], weighers: Sequence[tuple[Weigher, float]]) -> list[float]:
    """Of each host the sum, over all weighers, of the multiplier times its place between the worst and the best."""
    weights = [0.0] * len(hosts)
    if not hosts:
        return weights
    for weigher, multiplier in weighers:
        raw = [weigher.weigh(host) for host in hosts]
        worst, best = min(raw), max(raw)
        if worst < best:  # else it does not tell them apart
            for number, value in enumerate(raw):
                weights[number] += multiplier * (value - worst) / (best - worst)
    return weights
