"""The table of actions and their steps, alike on SQLite and PostgreSQL."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cloud.db.actions import FAILED, ActionTable
from cloud.db.engine import Database
from cloud.domain.action import EventResult, InstanceAction, InstanceEvent
from cloud.errors import BadRequestError, NotFoundError
from cloud.logs.emit.context import request_context
from tests.db.conftest import Clock
from tests.db.making import at_once, failures, uuid_of

NOON = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
ONE = uuid_of(1)


@pytest.fixture
def actions(database: Database, clock: Clock) -> ActionTable:
    return ActionTable(database, clock)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_action_has_the_ids_of_its_request(actions: ActionTable, clock: Clock) -> None:
    with request_context(request_id="req-1", user="u1", project="p1"):
        assert actions.start(ONE, "reboot")
        clock.advance(2)
        assert actions.finish(ONE)
    assert actions.get(ONE, "req-1") == InstanceAction(
        instance_uuid=ONE,
        request_id="req-1",
        action="reboot",
        user_id="u1",
        project_id="p1",
        started_at=NOON,
        finished_at=after(2),
        message=None,
        events=(),
    )


def test_action_that_is_delivered_twice_is_noted_once(actions: ActionTable, clock: Clock) -> None:
    with request_context(request_id="req-1"):
        assert actions.start(ONE, "reboot")
        clock.advance(2)
        assert not actions.start(ONE, "stop")
        assert actions.finish(ONE, message=FAILED)
        clock.advance(2)
        assert not actions.finish(ONE)
    (action,) = actions.list(ONE)
    assert (action.action, action.started_at, action.finished_at, action.message) == ("reboot", NOON, after(2), "Error")


def test_newest_action_comes_first_and_has_no_steps(actions: ActionTable) -> None:
    for number, name in enumerate(("create", "stop", "start")):
        with request_context(request_id=f"req-{number}"):
            actions.start(ONE, name)
            actions.start_event(ONE, "compute_" + name)
    assert [action.action for action in actions.list(ONE)] == ["start", "stop", "create"]
    assert [action.action for action in actions.list(ONE, limit=1)] == ["start"]
    assert {action.events for action in actions.list(ONE)} == {()}
    assert actions.list(uuid_of(2)) == ()


def test_steps_come_in_their_order_with_what_became_of_them(actions: ActionTable, clock: Clock) -> None:
    with request_context(request_id="req-1"):
        actions.start(ONE, "create")
        assert actions.start_event(ONE, "claim")
        clock.advance(1)
        assert actions.finish_event(ONE, "claim", result=EventResult.SUCCESS)
        assert actions.start_event(ONE, "spawn", host="a")
        clock.advance(1)
        assert actions.finish_event(ONE, "spawn", host="a", result=EventResult.ERROR, details="disk full")
        assert actions.start_event(ONE, "spawn", host="b")
    assert actions.get(ONE, "req-1").events == (
        InstanceEvent("claim", None, NOON, after(1), EventResult.SUCCESS),
        InstanceEvent("spawn", "a", after(1), after(2), EventResult.ERROR, "disk full"),
        InstanceEvent("spawn", "b", after(2)),
    )


def test_step_that_begins_again_before_it_has_ended_is_the_same_step(actions: ActionTable, clock: Clock) -> None:
    with request_context(request_id="req-1"):
        actions.start(ONE, "create")
        actions.start_event(ONE, "spawn", host="a")
        clock.advance(1)
        actions.start_event(ONE, "spawn", host="a")
        actions.finish_event(ONE, "spawn", result=EventResult.SUCCESS)
        assert not actions.finish_event(ONE, "spawn", result=EventResult.ERROR)
    assert actions.get(ONE, "req-1").events == (InstanceEvent("spawn", "a", NOON, after(1), EventResult.SUCCESS),)


def test_step_is_ended_on_its_own_host(actions: ActionTable) -> None:
    with request_context(request_id="req-1"):
        actions.start(ONE, "create")
        for host in ("a", "b"):
            actions.start_event(ONE, "spawn", host=host)
        actions.finish_event(ONE, "spawn", host="a", result=EventResult.ERROR)
    assert [event.result for event in actions.get(ONE, "req-1").events] == [EventResult.ERROR, None]


def test_request_may_be_named_by_who_is_not_in_it(actions: ActionTable) -> None:
    with request_context(request_id="req-1"):
        actions.start(ONE, "stop")
    assert actions.start_event(ONE, "compute_stop", request_id="req-1")
    assert actions.finish_event(ONE, "compute_stop", request_id="req-1", result=EventResult.SUCCESS)
    assert actions.finish(ONE, "req-1", message="Error")
    assert actions.get(ONE, "req-1").message == "Error"


def test_nothing_is_noted_outside_of_a_request_or_of_an_action_that_was_not(actions: ActionTable) -> None:
    assert not actions.start(ONE, "stop")
    assert not actions.start_event(ONE, "compute_stop")
    assert not actions.finish(ONE)
    with request_context(request_id="req-1"):
        assert not actions.start_event(ONE, "compute_stop")
        assert not actions.finish_event(ONE, "compute_stop", result=EventResult.ERROR)
        assert not actions.finish(ONE)
    assert actions.list(ONE) == ()


def test_action_that_was_not_is_not_found(actions: ActionTable) -> None:
    with request_context(request_id="req-1"):
        actions.start(ONE, "stop")
    for uuid, request_id in ((ONE, "req-2"), (uuid_of(2), "req-1"), (ONE, "x\x00"), ("x", "r" * 300)):
        with pytest.raises(NotFoundError, match="cannot find action"):
            actions.get(uuid, request_id)


def test_long_and_odd_texts_are_cut_or_refused(actions: ActionTable) -> None:
    with request_context(request_id="req-1"):
        actions.start(ONE, "stop\x00")
        actions.start_event(ONE, "compute_stop")
        actions.finish_event(ONE, "compute_stop", result=EventResult.ERROR, details="\x00" + "d" * 70_000)
        actions.finish(ONE, message="m" * 300)
        with pytest.raises(BadRequestError):
            actions.start_event(ONE, "e" * 256)
        with pytest.raises(BadRequestError):
            actions.start(uuid_of(2), "a" * 256)
    action = actions.get(ONE, "req-1")
    assert (action.action, action.message) == ("stop\ufffd", "m" * 252 + "...")
    assert action.events[0].details == "\ufffd" + "d" * 65_532 + "..."


def test_same_step_that_begins_at_once_is_one(actions: ActionTable) -> None:
    with request_context(request_id="req-1"):
        actions.start(ONE, "stop")
    done = at_once(10, lambda _number: actions.start_event(ONE, "compute_stop", host="a", request_id="req-1"))
    assert failures(done) == []
    assert len(actions.get(ONE, "req-1").events) == 1


def test_action_arrives_as_it_was_sent() -> None:
    event = InstanceEvent("spawn", "a", NOON, after(1), EventResult.ERROR, "disk full")
    open_event = InstanceEvent("spawn", None, NOON)
    action = InstanceAction(ONE, "req-1", "create", "u1", None, NOON, after(2), "Error", (event, open_event))
    assert InstanceAction.from_dict(json.loads(json.dumps(action.as_dict()))) == action
    running = InstanceAction(ONE, "req-1", "create", None, "p1", NOON)
    assert InstanceAction.from_dict(json.loads(json.dumps(running.as_dict()))) == running
    assert running.as_dict() == {
        "instance_uuid": ONE,
        "request_id": "req-1",
        "action": "create",
        "user_id": None,
        "project_id": "p1",
        "started_at": "2014-10-16T12:00:00+00:00",
        "finished_at": None,
        "message": None,
        "events": [],
    }
    with pytest.raises(ValueError, match="Maybe"):
        InstanceEvent.from_dict(event.as_dict() | {"result": "Maybe"})
