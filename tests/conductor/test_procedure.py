"""A procedure's steps in order, and their undos in reverse: every step failed in turn, every undo failed in turn."""

from dataclasses import replace

import pytest
from loguru import logger

from cloud.errors import ComputeError, ConflictError, DatabaseUnavailableError
from cloud.logs.events import BUILD, MIGRATION
from cloud.logs.events import Procedure as Vocabulary
from cloud.services.conductor.procedure import Failure, Procedure, Step
from tests.services.said import Line

NAMES = ("source_check", "claim", "pre", "transfer", "post")
FAULT = ComputeError("cannot do it: no answer")


class Work:
    """What is there, and what is to go wrong; some steps leave nothing behind."""

    def __init__(self) -> None:
        self.there: list[str] = []
        self.done: list[str] = []
        self.failing: dict[str, list[Exception]] = {}

    def do(self, name: str) -> None:
        self.done.append(name)
        self.there.append(name)  # also where it then fails
        self._fail(name)

    def undo(self, name: str) -> None:
        self.done.append(f"undo {name}")
        self._fail(f"undo {name}")
        self.there.remove(name)

    def _fail(self, name: str) -> None:
        if self.failing.get(name):
            raise self.failing[name].pop(0)


def step(name: str) -> Step[Work]:
    return Step(name, lambda work: work.do(name), lambda work: work.undo(name))


class Seconds:
    """A clock on which half a second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.5
        return self.now_s


def procedure(vocabulary: Vocabulary = MIGRATION, names: tuple[str, ...] = NAMES) -> Procedure[Work]:
    return Procedure(
        vocabulary,
        tuple(map(step, names)),
        describe=lambda work: {"host": "compute-01"},
        interruptions=(DatabaseUnavailableError,),
        clock_s=Seconds(),
    )


@pytest.fixture
def work() -> Work:
    return Work()


def test_an_undo_that_waits_for_another_is_left_with_it_and_done_once_that_is(work: Work) -> None:
    steps = (Step("claim", step("claim").run, step("claim").undo, undo_after="post"), step("pre"), step("post"))
    waiting = Procedure(MIGRATION, steps, describe=lambda work: {})
    work.failing = {"post": [FAULT], "undo post": [FAULT]}
    assert waiting.run(work) == Failure("post", FAULT, is_ours=True)
    assert work.done[3:] == ["undo post", "undo pre", "undo post", "undo claim"]
    assert work.there == []
    work.failing = {"post": [FAULT], "undo post": [FAULT, FAULT]}
    assert waiting.run(work) == Failure("post", FAULT, is_ours=True, left=("post", "claim"))
    assert work.there == ["claim", "post"]


def test_steps_run_in_order_and_say_so(work: Work, lines: list[Line]) -> None:
    assert procedure(names=("claim", "pre")).run(work) is None
    assert work.done == ["claim", "pre"]
    assert lines == [
        ("INFO", "step started", {"step": "claim", "host": "compute-01", "event": "migration.claim.started"}),
        (
            "INFO",
            "step completed",
            {"step": "claim", "host": "compute-01", "event": "migration.claim.completed", "step_s": 0.5},
        ),
        ("INFO", "step started", {"step": "pre", "host": "compute-01", "event": "migration.pre.started"}),
        (
            "INFO",
            "step completed",
            {"step": "pre", "host": "compute-01", "event": "migration.pre.completed", "step_s": 0.5},
        ),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_fails_is_undone_after_those_before_it_in_reverse(work: Work, name: str) -> None:
    work.failing[name] = [FAULT]
    assert procedure().run(work) == Failure(name, FAULT, is_ours=True)
    ran = NAMES[: NAMES.index(name) + 1]
    assert work.done == [*ran, *(f"undo {each}" for each in reversed(ran))]
    assert work.there == []


@pytest.mark.parametrize("name", NAMES)
def test_an_undo_that_fails_once_is_tried_again_behind_the_others(work: Work, name: str) -> None:
    work.failing = {"post": [FAULT], f"undo {name}": [ConflictError("cannot undo")]}
    assert procedure().run(work) == Failure("post", FAULT, is_ours=True)
    assert work.done[len(NAMES) :] == [*(f"undo {each}" for each in reversed(NAMES)), f"undo {name}"]
    assert work.there == []


@pytest.mark.parametrize("name", NAMES)
def test_an_undo_that_fails_for_good_is_said_and_holds_up_no_other(work: Work, lines: list[Line], name: str) -> None:
    work.failing = {"post": [FAULT], f"undo {name}": [ConflictError("cannot undo")] * 2}
    assert procedure().run(work) == Failure("post", FAULT, is_ours=True, left=(name,))
    assert work.there == [name]
    errors = [
        (message, fields["step"], fields["error"], fields["cause"])
        for level, message, fields in lines
        if level == "ERROR"
    ]
    assert errors == [
        ("step failed", "post", "cannot do it: no answer", "ComputeError"),
        ("cannot undo step", name, "cannot undo", "ConflictError"),
        ("cannot undo step", name, "cannot undo", "ConflictError"),
        ("step failed", "rollback", "cannot undo", "ConflictError"),
    ]


def test_undoing_is_an_event_where_the_procedure_has_one_for_it(work: Work, lines: list[Line]) -> None:
    work.failing["claim"] = [FAULT, FAULT]
    procedure(names=("claim",)).run(work)
    assert [fields.get("event") for _, _, fields in lines] == [
        "migration.claim.started",
        "migration.claim.failed",
        "migration.rollback.started",
        "migration.rollback.completed",
    ]
    lines.clear()
    procedure(BUILD, ("claim",)).run(work)
    assert [(fields["step"], fields.get("event")) for _, _, fields in lines] == [
        ("claim", "build.claim.started"),
        ("claim", "build.claim.failed"),
        ("rollback", None),
        ("rollback", None),
    ]


def test_where_nothing_is_to_be_undone_nothing_is_said_of_it(work: Work, lines: list[Line]) -> None:
    work.failing["schedule"] = [FAULT]
    only: Step[Work] = Step("schedule", lambda work: work.do("schedule"))
    failure = Procedure(MIGRATION, (only,), describe=lambda work: {}).run(work)
    assert failure == Failure("schedule", FAULT, is_ours=True)
    assert [fields["event"] for _, _, fields in lines] == ["migration.schedule.started", "migration.schedule.failed"]


def test_what_may_not_be_undone_is_left_as_it_is(work: Work) -> None:
    asked: list[tuple[Work, Exception]] = []

    def is_handed_over(work: Work, cause: Exception) -> bool:
        asked.append((work, cause))
        return False

    work.failing["post"] = [FAULT]
    after_hand_over = Procedure(MIGRATION, tuple(map(step, NAMES)), describe=lambda work: {}, may_undo=is_handed_over)
    assert after_hand_over.run(work) == Failure("post", FAULT, is_ours=False)
    assert work.there == list(NAMES)
    assert asked == [(work, FAULT)]


def test_a_run_may_begin_in_the_middle_and_undoes_what_others_did_before(work: Work) -> None:
    work.there = ["source_check", "claim"]
    work.failing["transfer"] = [FAULT]
    assert procedure().run(work, begin="pre") == Failure("transfer", FAULT, is_ours=True)
    assert work.done[:2] == ["pre", "transfer"]
    assert work.there == []


@pytest.mark.parametrize("name", ["transfer", "undo claim"])
def test_an_interruption_ends_it_where_it_is(work: Work, name: str) -> None:
    work.failing = {"post": [FAULT], name: [DatabaseUnavailableError("cannot use database")]}
    with pytest.raises(DatabaseUnavailableError):
        procedure().run(work)
    assert work.done[-1] == name


def test_what_was_left_behind_is_undone_as_a_whole(work: Work) -> None:
    work.there = list(NAMES)
    assert procedure().undo(work) == ()
    assert work.there == []


@pytest.mark.parametrize(("exc", "has_traceback"), [(FAULT, False), (KeyError("x"), True)])
def test_only_a_defect_is_logged_with_its_traceback(work: Work, exc: Exception, *, has_traceback: bool) -> None:
    tracebacks: list[bool] = []
    sink = logger.add(lambda message: tracebacks.append(message.record["exception"] is not None), level="ERROR")
    work.failing["claim"] = [exc]
    procedure(names=("claim",)).run(work)
    logger.remove(sink)
    assert tracebacks == [has_traceback]


def test_a_step_without_a_name_in_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^cannot name event build\.transfer\.started: no such step or suffix$"):
        procedure(BUILD, ("claim", "transfer"))


def test_before_each_step_does_anything_a_journal_is_told(work: Work) -> None:
    told: list[tuple[str, list[str]]] = []
    kept = replace(procedure(names=("claim", "pre")), before=lambda work, name: told.append((name, list(work.done))))
    assert kept.run(work) is None
    assert told == [("claim", []), ("pre", ["claim"])]


def test_a_journal_that_refuses_a_step_lets_it_fail(work: Work, lines: list[Line]) -> None:
    def refuse(work: Work, name: str) -> None:
        if name == "pre":
            work.there.append("pre")  # as a step does that fails in its middle
            raise FAULT

    assert replace(procedure(names=("claim", "pre")), before=refuse).run(work) == Failure("pre", FAULT, is_ours=True)
    assert (work.there, work.done) == ([], ["claim", "undo pre", "undo claim"])
    said = [fields["event"] for _, _, fields in lines]
    assert "migration.pre.started" not in said
    assert "migration.pre.failed" in said


def test_a_journal_that_is_away_ends_it_where_it_is(work: Work) -> None:
    def away(work: Work, name: str) -> None:
        raise DatabaseUnavailableError("cannot use database")

    with pytest.raises(DatabaseUnavailableError):
        replace(procedure(names=("claim",)), before=away).run(work)
    assert work.done == []


def test_a_step_may_be_tried_again_as_often_as_somebody_says(work: Work, lines: list[Line]) -> None:
    asked: list[tuple[Exception, int]] = []

    def again(work: Work, cause: Exception, attempt: int) -> bool:
        asked.append((cause, attempt))
        return attempt < 3

    patient = replace(procedure(names=("claim",)), try_again=again)
    work.failing["claim"] = [FAULT, FAULT]
    assert patient.run(work) is None
    assert asked == [(FAULT, 1), (FAULT, 2)]
    again_lines = [
        (level, fields["attempt"], fields["error"]) for level, message, fields in lines if "again" in message
    ]
    assert again_lines == [("WARNING", 1, "cannot do it: no answer"), ("WARNING", 2, "cannot do it: no answer")]
    assert [fields["event"] for _, _, fields in lines if "event" in fields] == [
        "migration.claim.started",
        "migration.claim.completed",
    ]
    work.failing["claim"] = [FAULT, FAULT, FAULT]
    assert patient.run(work) == Failure("claim", FAULT, is_ours=True)
    assert asked[2:] == [(FAULT, 1), (FAULT, 2), (FAULT, 3)]


def test_what_was_left_behind_is_undone_from_the_step_on_that_it_came_to(work: Work) -> None:
    work.there = ["source_check", "claim", "pre"]
    assert procedure().undo(work, begin="pre") == ()
    assert work.done == ["undo pre", "undo claim", "undo source_check"]
