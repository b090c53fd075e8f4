"""Which kills there are, and which of them are one."""

import pytest

from cloud.logs.events import PROCEDURES
from tests.kills.daemons import CONDUCTOR, Daemon, Part
from tests.kills.moves import MOVES
from tests.kills.table import table_of
from tests.kills.trials import MAX_WAVE, every_trial, waves_of
from tests.kills.wave import Outcome

ROLLBACK = "rollback"


@pytest.mark.parametrize("name", MOVES)
def test_conductor_is_killed_at_every_step_of_every_move(name: str) -> None:
    killed_at = {trial.at.step for trial in every_trial([name]) if trial.killed is Part.CONDUCTOR}
    assert killed_at - {ROLLBACK} == set(MOVES[name].steps)


def test_every_step_that_the_log_knows_is_one_of_a_move_but_for_builds_and_the_request_itself() -> None:
    steps = {(move.vocabulary.name, at.step) for move in MOVES.values() for at in move.at}
    known = {(each.name, step) for each in PROCEDURES for step in each.steps if each.name != "build"}
    # Undoing an evacuation gives a claim back, and asks nobody; "request" is over before there is a migration.
    assert known - steps == {
        ("evacuate", ROLLBACK),
        *((each.name, "request") for each in PROCEDURES[:1] + PROCEDURES[2:]),
    }


def test_moves_of_a_wave_die_by_the_same_daemon_and_nobody_is_left_out() -> None:
    trials = every_trial()
    waves = waves_of(trials)
    assert [trial for wave in waves for trial in wave.trials if wave.killed != trial.daemon(trial.killed)] == []
    assert all(len(wave.trials) == 1 for wave in waves if wave.is_quick)
    assert max(len(wave.trials) for wave in waves) <= MAX_WAVE
    assert sorted(map(str, trials)) == sorted(str(trial) for wave in waves for trial in wave.trials)


def test_stopped_daemon_keeps_only_those_moves_that_need_it() -> None:
    [conductor, scheduler] = waves_of(every_trial(["cold", "evacuate-image"], ["schedule"]))
    assert (conductor.killed, conductor.stopped) == (CONDUCTOR, Daemon("nova-scheduler", "controller-01"))
    assert (scheduler.killed, scheduler.stopped) == (scheduler.stopped, Daemon("nova-scheduler", "controller-01"))
    assert [len(wave.trials) for wave in (conductor, scheduler)] == [2, 2]


def test_table_says_of_each_kill_what_became_of_it_and_why_it_failed() -> None:
    [first, second] = every_trial(["cold"], ["schedule"])
    outcomes = [
        Outcome(second, "b", 0.0, "failed", "step schedule: no answer", 30.0, ["it does not run on compute-01"]),
        Outcome(first, "a", 0.0, "finished", None, 12.34, []),
    ]
    assert list(table_of(outcomes)) == [
        "move  step      daemon killed   outcome   seconds  verdict",
        "cold  schedule  nova-conductor  finished  12.3     good",
        "cold  schedule  nova-scheduler  failed    30.0     WRONG",
        "cold, schedule, nova-scheduler: step schedule: no answer",
        "cold, schedule, nova-scheduler: WRONG: it does not run on compute-01",
    ]
