"""What lines beside our own events cannot do: name another host or another cause than those."""

from collections.abc import Mapping
from itertools import count

import pytest

from cloud.logs.events import COMPLETED, EVACUATE, MIGRATION, PROGRESS, SERVICE, STARTED, Procedure
from cloud.logs.query.explain.cause_files import shipped
from cloud.logs.query.explain.causes import Place, causes_of, moments_of
from cloud.logs.query.explain.explanation import Certainty
from cloud.logs.query.explain.lines import Line, line_of
from cloud.logs.query.explain.operation import Ending
from cloud.logs.query.explain.operations import operations_of
from cloud.logs.query.explain.places import Side
from cloud.logs.query.explain.suspects import Found, suspect_of
from cloud.logs.query.explain.whereabouts.position import position_of

_NUMBERS = count(1)


def line(
    at_s: int,
    message: str,
    fields: Mapping[str, object],
    *,
    event: str | None = None,
    said_by: tuple[str, str] = ("controller", "nova-conductor"),
) -> Line:
    host, service = said_by
    time = f"2027-01-15T12:{at_s // 60:02}:{at_s % 60:02}Z"
    row = {
        "row_id": next(_NUMBERS), "timestamp": time, "observed_timestamp": time, "severity": "info", "level": "INFO",
        "message": message, "hostname": host, "app_name": service, "logger": "nova.conductor", "request_id": "req-1",
        "instance": "00000000-0000-4000-8000-000000000301", "migration": "7", "fields": fields,
    }  # fmt: skip
    return line_of(row if event is None else {**row, "event": event})


def step(at_s: int, procedure: Procedure, name: str, suffix: str, destination: str | None) -> Line:
    told = {"step": name, "source_compute": "src", "dest_compute": destination}
    fields = {key: value for key, value in told.items() if value is not None}
    return line(at_s, f"step {suffix}", fields, event=procedure.event(name, suffix))


def ended(at_s: int, destination: str) -> Line:
    return line(at_s, "migration ended", {"status": "completed", "source_compute": "src", "dest_compute": destination})


EVACUATED = [
    step(1, EVACUATE, "source_check", STARTED, None),
    step(4, EVACUATE, "claim", COMPLETED, "d1"),
    step(7, EVACUATE, "spawn", STARTED, "d1"),
    line(67, "host that is forced down does not answer", {"host": "src", "error": "no reply"}),
    step(70, EVACUATE, "spawn", COMPLETED, "d1"),
    ended(73, "d1"),
]
CLAIMED_AGAIN = [
    step(1, MIGRATION, "claim", STARTED, None),
    step(2, MIGRATION, "claim", PROGRESS, "d1"),
    step(3, MIGRATION, "claim", PROGRESS, "d2"),
    step(4, MIGRATION, "claim", COMPLETED, "d1"),
    step(8, MIGRATION, "post", COMPLETED, "d1"),
    ended(9, "d1"),
]


@pytest.mark.parametrize("lines", [EVACUATED, CLAIMED_AGAIN], ids=["a host that a line is about", "a host in between"])
def test_the_destination_is_the_one_that_was_told_last_as_such(lines: list[Line]) -> None:
    operations = operations_of(lines)
    assert [(each.ending, each.hosts[Side.DESTINATION][-1]) for each in operations] == [(Ending.COMPLETED, "d1")]
    position = position_of(operations, lines)
    assert position is not None
    assert (position.host, position.certainty) == ("d1", Certainty.CERTAIN)


@pytest.mark.parametrize(("host", "cause"), [("d1", "compute-restarted"), ("src", "rpc-timeout")])
@pytest.mark.parametrize("target", ["nova-compute on d1", "nova-compute.d1"])
def test_a_service_that_was_started_again_explains_only_that_it_did_not_answer_itself(
    target: str, host: str, cause: str
) -> None:
    error = f"cannot call check_live_destination of {target}: no reply in 60 s"
    failed = line(60, "step failed", {"error": error, "cause": "RpcTimeoutError"})
    start = line(2, "nova-compute starts", {}, event=SERVICE.event("start"), said_by=(host, "nova-compute"))
    found = causes_of(Found(suspect_of(failed)), [start], Place("dest_check", MIGRATION.name), shipped())
    assert [each.match.cause.id for each in found] == [cause]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ("cannot write 'x'", (50, 70)),
        ("cannot call it of nova-compute on d1: no reply in 30 s", (20, 70)),
        ("MessagingTimeout: Timed out waiting for a reply to message ID 1d3f", (-10, 70)),
    ],
)
def test_hosts_are_heard_around_an_error_and_while_an_answer_was_awaited(error: str, seconds: tuple[int, int]) -> None:
    noon = line(0, "noon", {}).time
    moments = moments_of(Found(suspect_of(line(60, "step failed", {"error": error}))))
    assert tuple((moment - noon).total_seconds() for moment in moments) == seconds
