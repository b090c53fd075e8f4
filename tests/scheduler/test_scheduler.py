"""A choice: who is a candidate, in which order, and how it explains itself."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.domain.flavor import Resources
from cloud.domain.host import BuildRequest, Candidate, HostState
from cloud.services.scheduler.filters.compute import ComputeFilter
from cloud.services.scheduler.filters.ram import RamFilter
from cloud.services.scheduler.filters.table import FILTER_NAMES, filters_by_name
from cloud.services.scheduler.ratios import Ratios
from cloud.services.scheduler.scheduler import Choice, FilterResult, Rules, select
from cloud.services.scheduler.weighers.disk import DiskWeigher
from cloud.services.scheduler.weighers.num_instances import NumInstancesWeigher
from cloud.services.scheduler.weighers.ram import RamWeigher
from cloud.services.scheduler.weighers.table import WEIGHERS
from tests.scheduler.hosts import aggregate, chance, request, state

RATIOS = Ratios(memory=1.5, vcpus=16.0, disk=1.0)
BY_NAME = filters_by_name(RATIOS)
EVERY_RULE = Rules(tuple(BY_NAME.values()), tuple((weigher, 1.0) for weigher in WEIGHERS.values()), RATIOS)
UP_AND_RAM = Rules((ComputeFilter(), RamFilter(RATIOS)), ((RamWeigher(), 1.0),), RATIOS)


def choose(states: Sequence[HostState], wanted: BuildRequest, rules: Rules = UP_AND_RAM, *, seed: int = 1) -> Choice:
    return select(states, wanted, rules, chance(seed))


def weights(choice: Choice) -> dict[str, float]:
    return {candidate.host: candidate.weight for candidate in choice.candidates}


def used(memory_mb: int) -> dict[str, Any]:
    return {"used": Resources(memory_mb, 0, 0)}


def hosts(count: int) -> list[HostState]:
    return [state(f"compute-{number:02}") for number in range(1, count + 1)]


def test_candidate_says_where_and_how_much_may_be_claimed_there_in_all() -> None:
    choice = choose([state(total=Resources(8193, 3, 101), **used(1024))], request())
    assert choice.candidates == (
        Candidate("compute-01", "compute-01.example.org", Resources(12289, 48, 101), weight=0.0),
    )


def test_filters_are_asked_in_order_of_those_that_are_left() -> None:
    states = [state("a", is_up=False), state("b", **used(12000)), state("c"), state("d", is_enabled=False)]
    choice = choose(states, request())
    assert choice.results == (
        FilterResult("ComputeFilter", before=4, refused=("a", "d")),
        FilterResult("RamFilter", before=2, refused=("b",)),
    )
    assert [result.after for result in choice.results] == [2, 1]
    assert [candidate.host for candidate in choice.candidates] == ["c"]


def test_no_filter_is_asked_when_no_host_is_left() -> None:
    choice = choose([state(is_up=False)], request())
    assert choice.results == (FilterResult("ComputeFilter", before=1, refused=("compute-01",)),)
    assert choice.candidates == ()


def test_choice_explains_itself_by_the_filters_that_refused() -> None:
    down = [state(f"down-{number}", is_up=False) for number in range(3)]
    full = [state(f"full-{number}", **used(12288)) for number in range(5)]
    assert choose(down + full, request()).explain() == "8 hosts; ComputeFilter 8 -> 5, RamFilter 5 -> 0"
    assert choose(full, request()).explain() == "5 hosts; RamFilter 5 -> 0"
    assert choose(down[:1], request()).explain() == "1 host; ComputeFilter 1 -> 0"
    assert choose([], request()).explain() == "0 hosts"
    assert choose(hosts(2), request()).explain() == "2 hosts"


def test_explanation_that_would_be_too_long_keeps_its_end() -> None:
    names = [name.ljust(34, "x") for name in ("A", "B", "C", "D", "E", "F")]
    results = [FilterResult(name, 100_006 - number, ("one",)) for number, name in enumerate(names)]
    assert Choice(100_006, tuple(results), ()).explain() == (
        "100006 hosts; ..., D" + "x" * 33 + " 100003 -> 100002, "
        "E" + "x" * 33 + " 100002 -> 100001, F" + "x" * 33 + " 100001 -> 100000"
    )


def test_host_with_most_left_comes_first() -> None:
    states = [state("a", **used(4096)), state("b", **used(0)), state("c", **used(6144)), state("d", **used(8192))]
    choice = choose(states, request())
    assert [candidate.host for candidate in choice.candidates] == ["b", "a", "c", "d"]
    assert weights(choice) == {"b": 1.0, "a": 0.5, "c": 0.25, "d": 0.0}


def test_multipliers_weigh_weighers_against_each_other() -> None:
    states = [
        state("a", used=Resources(0, 0, 90), running_vms=4),  # memory 1, disk 0, instances 1
        state("b", used=Resources(8192, 0, 0), running_vms=0),  # 0, 1, 0
        state("c", used=Resources(2048, 0, 45), running_vms=1),  # 0.75, 0.5, 0.25
    ]
    weighers = ((RamWeigher(), 1.0), (DiskWeigher(), 2.0), (NumInstancesWeigher(), -4.0))
    choice = choose(states, request(), Rules((), weighers, RATIOS))
    assert weights(choice) == {"b": 2.0, "c": 0.75, "a": -3.0}
    assert [candidate.host for candidate in choice.candidates] == ["b", "c", "a"]


def test_negative_multiplier_fills_one_host_after_the_other() -> None:
    states = [state("a", **used(0)), state("b", **used(4096))]
    choice = choose(states, request(), Rules((), ((RamWeigher(), -1.0),), RATIOS))
    assert weights(choice) == {"b": 0.0, "a": -1.0}


def test_without_weighers_hosts_are_equal() -> None:
    assert weights(choose(hosts(2), request(), Rules(()))) == {"compute-01": 0.0, "compute-02": 0.0}


def test_chance_decides_between_equals_and_only_between_them() -> None:
    states = [state("best"), state("a", **used(4096)), state("b", **used(4096)), state("c", **used(4096))]
    orders = Counter(
        tuple(candidate.host for candidate in choose(states, request(), seed=seed).candidates) for seed in range(600)
    )
    assert {order[0] for order in orders} == {"best"}
    assert len(orders) == 6
    assert min(orders.values()) > 60


def test_same_chance_makes_the_same_choice() -> None:
    assert choose(hosts(20), request(), seed=7) == choose(hosts(20), request(), seed=7)


def test_any_of_the_best_subset_may_come_first_and_the_others_keep_their_order() -> None:
    states = [state("a"), state("b", **used(1024)), state("c", **used(2048)), state("d", **used(4096))]
    rules = Rules((), ((RamWeigher(), 1.0),), RATIOS, subset_size=3)
    orders = Counter(
        tuple(candidate.host for candidate in choose(states, request(), rules, seed=seed).candidates)
        for seed in range(300)
    )
    assert set(orders) == {("a", "b", "c", "d"), ("b", "a", "c", "d"), ("c", "a", "b", "d")}
    assert min(orders.values()) > 60


def test_subset_may_be_larger_than_what_there_is() -> None:
    assert len(choose(hosts(2), request(), Rules((), subset_size=50)).candidates) == 2


def test_forced_host_is_taken_whatever_the_filters_say() -> None:
    states = [state("a"), state("b", is_enabled=False, zone="other", **used(12288))]
    choice = choose(states, request(forced_host="b", availability_zone="nova"), EVERY_RULE)
    assert [(candidate.host, candidate.limits) for candidate in choice.candidates] == [("b", Resources(12288, 64, 100))]


@pytest.mark.parametrize(
    ("changes", "explanation"),
    [
        ({"forced_host": "c"}, "2 hosts; ForcedHost 2 -> 0"),
        ({"forced_host": "b"}, "2 hosts; ForcedHost 2 -> 1, Up 1 -> 0"),
        ({"forced_host": "a", "ignored_hosts": ("a",)}, "2 hosts; ForcedHost 2 -> 1, RetryFilter 1 -> 0"),
    ],
)
def test_forced_host_has_to_exist_be_up_and_not_have_failed(changes: dict[str, Any], explanation: str) -> None:
    choice = choose([state("a"), state("b", is_up=False)], request(**changes), EVERY_RULE)
    assert choice.candidates == ()
    assert choice.explain() == explanation


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {"a", "b", "c"}),
        ({"storage_id": "nfs"}, {"a", "b"}),
        ({"storage_id": "nfs", "requested_host": "b"}, {"b"}),
        ({"storage_id": "nfs", "forced_host": "b"}, {"b"}),
    ],
)
def test_storage_that_is_requested_is_what_a_host_has_to_have(changes: dict[str, Any], found: set[str]) -> None:
    states = [state("a", storage_id="nfs"), state("b", storage_id="nfs"), state("c", storage_id="c")]
    choice = choose(states, request(**changes), EVERY_RULE)
    assert {candidate.host for candidate in choice.candidates} == found


@pytest.mark.parametrize(
    ("changes", "explanation"),
    [
        ({}, "2 hosts; Storage 2 -> 0"),
        ({"requested_host": "a"}, "2 hosts; RequestedHost 2 -> 1, Storage 1 -> 0"),
        ({"forced_host": "b"}, "2 hosts; ForcedHost 2 -> 1, Storage 1 -> 0"),
    ],
)
def test_host_without_the_storage_is_not_chosen_whoever_names_it(changes: dict[str, Any], explanation: str) -> None:
    states = [state("a", storage_id="a"), state("b")]
    choice = choose(states, request(storage_id="nfs", **changes), EVERY_RULE)
    assert (choice.candidates, choice.explain()) == ((), explanation)


def test_requested_host_is_the_only_one_and_has_to_pass_every_filter() -> None:
    states = [state("a"), state("b"), state("c", zone="other"), state("d", **used(12288))]
    choice = choose(states, request(requested_host="b", availability_zone="nova"), EVERY_RULE)
    assert [candidate.host for candidate in choice.candidates] == ["b"]
    assert choice.results[0].filter == "RequestedHost"


@pytest.mark.parametrize(
    ("changes", "explanation"),
    [
        ({"requested_host": "z"}, "3 hosts; RequestedHost 3 -> 0"),
        ({"requested_host": "b"}, "3 hosts; RequestedHost 3 -> 1, ComputeFilter 1 -> 0"),
        ({"requested_host": "c"}, "3 hosts; RequestedHost 3 -> 1, RamFilter 1 -> 0"),
        ({"requested_host": "a", "ignored_hosts": ("a",)}, "3 hosts; RequestedHost 3 -> 1, RetryFilter 1 -> 0"),
    ],
)
def test_requested_host_that_does_not_pass_is_replaced_by_no_other(changes: dict[str, Any], explanation: str) -> None:
    choice = choose(
        [state("a"), state("b", is_enabled=False), state("c", **used(12288))], request(**changes), EVERY_RULE
    )
    assert choice.candidates == ()
    assert choice.explain() == explanation


SMALL = st.integers(0, 6)
METADATA = st.dictionaries(st.sampled_from(["ssd", "filter_tenant_id"]), st.sampled_from(["true", "project-1", "x"]))
STATES = st.builds(
    lambda is_up, is_enabled, zone, metadata, instances, used, free, running: {
        "is_up": is_up,
        "is_enabled": is_enabled,
        "zone": zone,
        "aggregates": tuple(aggregate(**values) for values in metadata),
        "instances": instances,
        "total": Resources(4096, 2, 20),
        "used": Resources(used[0] * 1024, used[1] * 8, used[2] * 4),
        "free_disk_gb": free * 4,
        "running_vms": running,
    },
    st.booleans(),
    st.booleans(),
    st.sampled_from(["nova", "east"]),
    st.lists(METADATA, max_size=2),
    st.lists(st.sampled_from(["a", "b"]), unique=True).map(tuple),
    st.tuples(SMALL, SMALL, SMALL),
    SMALL,
    SMALL,
)
REQUESTS = st.builds(
    lambda flavor, specs, properties, zone, hints, ignored: request(
        of_flavor={"memory_mb": flavor[0] * 1024, "vcpus": flavor[1], "root_gb": flavor[2] * 4, "extra_specs": specs},
        image_properties=properties,
        availability_zone=zone,
        hints=hints,
        ignored_hosts=ignored,
    ),
    st.tuples(st.integers(0, 4), st.integers(1, 2), st.integers(0, 5)),
    st.dictionaries(st.just("ssd"), st.sampled_from(["true", "<or> true <or> x"])),
    st.dictionaries(st.just("architecture"), st.sampled_from(["x86_64", "arm64"])),
    st.none() | st.sampled_from(["nova", "east"]),
    st.dictionaries(
        st.sampled_from(["same_host", "different_host", "query"]),
        st.sampled_from(["a", "b", '["<", "$num_instances", 4]']),
    ),
    st.lists(st.sampled_from(["host-0", "host-1"]), unique=True).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(
    values=st.lists(STATES, max_size=8),
    wanted=REQUESTS,
    names=st.lists(st.sampled_from(FILTER_NAMES), unique=True),
    subset_size=st.integers(1, 10),
    seed=st.integers(0, 1000),
)
def test_candidates_are_exactly_the_hosts_that_pass_every_filter(
    values: list[dict[str, Any]], wanted: BuildRequest, names: list[str], subset_size: int, seed: int
) -> None:
    states = [state(f"host-{number}", **changes) for number, changes in enumerate(values)]
    rules = Rules(tuple(BY_NAME[name] for name in names), EVERY_RULE.weighers, RATIOS, subset_size)
    choice = choose(states, wanted, rules, seed=seed)
    passing = [host for host in states if all(BY_NAME[name].passes(host, wanted) for name in names)]
    assert Counter(candidate.host for candidate in choice.candidates) == Counter(each.node.host for each in passing)
    counts = [len(states), *(result.after for result in choice.results)]
    assert [result.before for result in choice.results] == counts[:-1]
    assert counts[-1] == len(choice.candidates)
    assert len(choice.results) == len(names) or counts[-1] == 0
    behind = [candidate.weight for candidate in choice.candidates[1:]]
    assert behind == sorted(behind, reverse=True)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(STATES, max_size=8), wanted=REQUESTS)
def test_what_a_candidate_was_chosen_for_can_be_claimed_within_its_limits(
    values: list[dict[str, Any]], wanted: BuildRequest
) -> None:
    states = {f"host-{number}": state(f"host-{number}", **changes) for number, changes in enumerate(values)}
    for candidate in choose(list(states.values()), wanted, EVERY_RULE).candidates:
        used, asked = states[candidate.host].node.used, wanted.flavor.resources
        assert used.memory_mb + asked.memory_mb <= candidate.limits.memory_mb == 6144
        assert used.vcpus + asked.vcpus <= candidate.limits.vcpus == 32
        assert used.disk_gb + asked.disk_gb <= candidate.limits.disk_gb == 20
