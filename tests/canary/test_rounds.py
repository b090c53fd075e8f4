"""Rounds over a host and a collector that do what a test says."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from cloud.logs.canary.client import CanaryClient, Listener, RunGaps
from cloud.logs.canary.emitter import Emitter
from cloud.logs.canary.ledger import Ledger, Line, State
from cloud.logs.canary.rounds import Canary, Outcome, Plan
from cloud.logs.query.client import ClientError, Parameters


class Way:
    """From the emitter to the stream: what is sent comes out `copies` times, as soon as it is let."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.copies = 1
        self.is_open = True
        self.takes = True
        self.wanted: Parameters = {}
        self.refusal: Exception | None = None
        self.gaps_refusal: Exception | None = None
        self.is_followed = False
        self._held: list[dict[str, Any]] = []
        self.listener: Listener | None = None

    # as an Emitter
    def emit(self, facility: str, number: int) -> None:
        self.sent.append((facility, number))
        rows = [{"facility": facility, "fields": {"run": "r", "number": number}}] * self.copies
        self._held += rows
        if self.is_open:
            asyncio.get_running_loop().call_soon(self.release)

    def has_left(self, facility: str) -> bool:
        return self.takes

    # as a CanaryClient
    async def follow(self, wanted: Parameters, listener: Listener) -> None:
        self.wanted, self.listener = wanted, listener
        if self.refusal:
            raise self.refusal
        self.is_followed = True
        try:
            listener.live()
            await asyncio.Event().wait()
        finally:
            self.is_followed = False

    async def gaps(self, host: str) -> list[RunGaps]:
        if self.gaps_refusal:
            raise self.gaps_refusal
        return [RunGaps("A", "current", 9, 1, [(3, 3)])]

    def release(self) -> None:
        held, self._held = self._held, []
        assert self.listener is not None
        for row in held:
            self.listener.row(row)


class Trial:
    """One run over a `Way`, and what was told."""

    def __init__(self, way: Way, plan: Plan) -> None:
        self.told: list[Line] = []
        self.warned: list[str] = []
        self._way = way
        self.on_told: Callable[[Line], None] = lambda _line: None
        self.canary = Canary(plan, cast("Emitter", way), run="r", tell=self._tell, warn=self.warned.append)

    def _tell(self, line: Line) -> None:
        self.told.append(line)
        self.on_told(line)

    async def run(self) -> Outcome:
        return await self.canary.run(cast("CanaryClient", self._way))


def in_loop(run: Coroutine[Any, Any, Outcome]) -> Outcome:
    return asyncio.run(asyncio.wait_for(run, 20))


def plan(**keys: Any) -> Plan:
    return Plan("compute-01", ["local0", "local1"], **{"timeout_s": 5.0, **keys})


def states(lines: list[Line]) -> list[tuple[int, str, str]]:
    return [(line.round_, line.facility, line.state.value) for line in lines]


def test_a_round_is_over_when_all_has_come_and_the_summary_has_the_gaps() -> None:
    way = Way()

    async def scene() -> Outcome:
        trial = Trial(way, plan())
        outcome = await trial.run()
        assert states(trial.told) == [(1, "local0", "arrived"), (1, "local1", "arrived")]
        assert trial.warned == []
        assert not way.is_followed
        return outcome

    began_s = time.monotonic()
    outcome = in_loop(scene())
    assert time.monotonic() - began_s < 4
    assert outcome.is_complete
    assert [(share.sent, share.arrived) for share in outcome.shares] == [(1, 1), (1, 1)]
    assert outcome.runs == [RunGaps("A", "current", 9, 1, [(3, 3)])]
    assert way.wanted == {"host": "compute-01", "service": "canary", "field": "run=r"}


def test_what_does_not_come_is_missing_after_the_timeout() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.is_open = False
        trial = Trial(way, plan(timeout_s=0.1))
        outcome = await trial.run()
        assert states(trial.told) == [(1, "local0", "missing"), (1, "local1", "missing")]
        assert all(line.is_sent for line in trial.told)
        return outcome

    outcome = in_loop(scene())
    assert not outcome.is_complete
    assert [(share.arrived, share.missing) for share in outcome.shares] == [(0, 1), (0, 1)]


def test_a_missing_line_that_nobody_took_is_told_as_such() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.is_open = way.takes = False
        trial = Trial(way, plan(timeout_s=0.1))
        outcome = await trial.run()
        assert not any(line.is_sent for line in trial.told)
        return outcome

    in_loop(scene())


def test_what_comes_in_a_later_round_is_told_then_and_late() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.is_open = False
        trial = Trial(way, plan(timeout_s=0.1, rounds=2))

        def open_after_the_first_round(line: Line) -> None:
            way.is_open = True  # the second round releases all that was held

        trial.on_told = open_after_the_first_round
        outcome = await trial.run()
        assert states(trial.told) == [
            (1, "local0", "missing"),
            (1, "local1", "missing"),
            (1, "local0", "late"),
            (1, "local1", "late"),
            (2, "local0", "arrived"),
            (2, "local1", "arrived"),
        ]
        return outcome

    outcome = in_loop(scene())
    assert outcome.is_complete
    assert [(share.sent, share.arrived, share.late) for share in outcome.shares] == [(2, 2, 1), (2, 2, 1)]


def test_what_comes_twice_is_doubled() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.copies = 2
        trial = Trial(way, plan())
        outcome = await trial.run()
        assert [line.facility for line in trial.told if line.state is State.DOUBLED] == ["local0", "local1"]
        return outcome

    outcome = in_loop(scene())
    assert outcome.is_complete
    assert [(share.arrived, share.doubled) for share in outcome.shares] == [(1, 1), (1, 1)]


def test_facilities_take_turns_in_being_first() -> None:
    way = Way()

    async def scene() -> Outcome:
        return await Trial(way, plan(rounds=3)).run()

    in_loop(scene())
    assert [facility for facility, _ in way.sent[::2]] == ["local0", "local1", "local0"]
    assert [number for _, number in way.sent] == [1, 2, 3, 4, 5, 6]


def test_rounds_begin_as_often_as_is_wanted() -> None:
    async def scene() -> Outcome:
        return await Trial(Way(), plan(rounds=4, every_s=0.2)).run()

    began_s = time.monotonic()
    in_loop(scene())
    assert 0.6 <= time.monotonic() - began_s < 3


def test_stop_ends_an_endless_run_with_its_summary() -> None:
    async def scene() -> Outcome:
        trial = Trial(Way(), plan(rounds=None, every_s=3600))
        trial.on_told = lambda _line: trial.canary.stop()
        return await trial.run()

    assert [share.sent for share in in_loop(scene()).shares] == [1, 1]


def test_stop_gives_the_running_round_a_second() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.is_open = False
        trial = Trial(way, plan(timeout_s=3600))
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, trial.canary.stop)
        loop.call_later(0.2, way.release)
        return await trial.run()

    assert in_loop(scene()).is_complete


def test_a_run_that_sent_nothing_is_not_complete() -> None:
    share = Ledger(["local0"], 1.0).shares()
    assert not Outcome(share, None).is_complete


def test_stop_does_not_wait_for_what_never_comes() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.is_open = False
        trial = Trial(way, plan(timeout_s=3600))
        asyncio.get_running_loop().call_later(0.1, trial.canary.stop)
        return await trial.run()

    began_s = time.monotonic()
    assert not in_loop(scene()).is_complete
    assert 1 <= time.monotonic() - began_s < 4


def test_nothing_is_sent_when_the_collector_cannot_be_asked() -> None:
    way = Way()
    way.refusal = ClientError("cannot reach it")

    async def scene() -> Outcome:
        return await Trial(way, plan()).run()

    with pytest.raises(ClientError, match="cannot reach it"):
        in_loop(scene())
    assert way.sent == []


def test_a_defect_in_the_stream_is_not_swallowed() -> None:
    way = Way()
    way.is_open = False

    async def scene() -> Outcome:
        trial = Trial(way, plan())
        original = way.follow

        async def breaking(wanted: Parameters, listener: Listener) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(original(wanted, listener), 0.1)
            raise RuntimeError("defect")

        way.follow = breaking  # type: ignore[method-assign]
        return await trial.run()

    with pytest.raises(RuntimeError, match="defect"):
        in_loop(scene())


def test_unknown_gaps_are_none_and_said() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.gaps_refusal = ClientError("cannot ask")
        trial = Trial(way, plan())
        outcome = await trial.run()
        assert trial.warned == ["cannot ask"]
        return outcome

    outcome = in_loop(scene())
    assert outcome.runs is None
    assert outcome.is_complete


def test_an_outage_of_the_stream_is_said_once_and_its_end_too() -> None:
    async def scene() -> Outcome:
        way = Way()
        way.is_open = False
        trial = Trial(way, plan())

        def outage() -> None:
            assert way.listener is not None
            way.listener.away("refused")
            way.listener.away("refused")
            way.listener.live()
            way.release()

        asyncio.get_running_loop().call_later(0.1, outage)
        outcome = await trial.run()
        assert trial.warned == ["refused", "the collector is back"]
        return outcome

    in_loop(scene())
