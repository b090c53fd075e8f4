"""What a simulation calls wrong of a cloud in which all has come to its end."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.sim.checks import Place, State, read_guests, wrongs
from cloud.domain.flavor import Resources
from cloud.domain.instance import PowerState
from cloud.virt.simulated.guest import Change, Guest, Turn

TINY, LARGE = Resources(512, 1, 1), Resources(8192, 4, 80)
RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN
GOOD = State(
    instances=[Place("a", "one", "active", None, TINY), Place("b", None, "error", None, TINY)],
    claims={"a": {"one": TINY}},
    addresses={"a": 1},
    guests={"a": {"one": RUNNING}},
)


def test_cloud_in_order_has_nothing_wrong() -> None:
    assert list(wrongs(GOOD)) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"guests": {"a": {"one": RUNNING, "two": RUNNING}}}, "instance a runs on one, two"),
        ({"guests": {"a": {"one": RUNNING, "two": OFF}}}, "instance a is on one and has guests on one, two"),
        ({"guests": {"a": {"two": RUNNING}}}, "instance a is active on one and runs on two"),
        ({"guests": {"a": {"one": OFF}}}, "instance a is active on one and runs on none"),
        ({"guests": {}}, "instance a is on one and has guests on none"),
        ({"guests": {**GOOD.guests, "c": {"two": OFF}}}, "instance c is deleted and has guests on two"),
        ({"claims": {"a": {"one": TINY, "two": TINY}}}, "instance a is on one and has claims on one, two"),
        ({"claims": {"a": {"one": LARGE}}}, "instance a is on one and has claims on one"),
        ({"claims": {}}, "instance a is on one and has claims on none"),
        ({"claims": {**GOOD.claims, "b": {"two": TINY}}}, "instance b is on None and has claims on two"),
        ({"claims": {**GOOD.claims, "c": {"two": TINY}}}, "instance c is deleted and has claims on two"),
        ({"addresses": {}}, "instance a is on one and has 0 addresses"),
        ({"addresses": {"a": 1, "b": 1}}, "instance b is on None and has 1 addresses"),
        ({"addresses": {"a": 1, "c": 1}}, "instance c is deleted and has an address"),
    ],
)
def test_what_must_not_be_is_named(changes: Mapping[str, object], text: str) -> None:
    assert text in list(wrongs(replace(GOOD, **changes)))  # type: ignore[arg-type]


def test_claims_of_a_resize_that_waits_are_on_both_hosts() -> None:
    place = Place("a", "one", "resized", None, TINY, kept={"two": LARGE})
    both = replace(GOOD, instances=[place], claims={"a": {"one": TINY, "two": LARGE}})
    assert list(wrongs(both)) == []
    assert list(wrongs(replace(both, claims=GOOD.claims))) == ["instance a is on one and has claims on one"]


@pytest.mark.parametrize(("vm_state", "task_state"), [("active", "migrating"), ("building", None)])
def test_instance_that_is_not_done_is_named(vm_state: str, task_state: str | None) -> None:
    place = Place("a", "one", vm_state, task_state, TINY)
    assert f"instance a stays in vm_state {vm_state}, task_state {task_state}" in list(
        wrongs(replace(GOOD, instances=[place]))
    )


def test_guests_are_found_below_the_state_path_of_each_host(tmp_path: Path) -> None:
    turn = Turn(datetime(2026, 1, 1, tzinfo=UTC), Change.ON)
    guest = Guest("a", "vm", TINY, (), 0, (turn,))
    place = tmp_path / "one/var/lib/nova/simulated/instances/a"
    place.mkdir(parents=True)
    (place / "guest.json").write_text(guest.to_json())
    assert read_guests(tmp_path, "var/lib/nova") == {"a": {"one": RUNNING}}
    assert read_guests(tmp_path) == {}


def test_no_guests_are_found_where_no_host_has_any(tmp_path: Path) -> None:
    assert read_guests(tmp_path) == {}
