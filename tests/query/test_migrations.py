"""Lines of migrations as the API gives them -> what became of each."""

from typing import Any

from cloud.logs.query.migrations import migrations

Row = dict[str, Any]


def row(second: int, event: str | None = None, *, migration: str = "7", message: str = "step", **more: Any) -> Row:
    columns: Row = {name: more.pop(name) for name in ("instance", "request_id") if name in more}
    time = f"2027-01-15T12:00:{second:02}Z"
    found = {
        "row_id": second + 1,
        "observed_timestamp": time,
        "message": message,
        "migration": migration,
        "fields": more,
    }
    return {**found, **columns, **({"event": event} if event else {})}


def ended(second: int, status: str, **more: Any) -> Row:
    return row(second, message="migration ended", status=status, **more)


def test_one_that_ended_well_has_its_status_and_duration() -> None:
    [found] = migrations([
        row(0, "migration.request.started", source_compute="c1", instance="i-1", request_id="req-1", type="live-migration"),
        row(1, "migration.transfer.started", dest_compute="c2"),
        row(4, "migration.transfer.completed", dest_compute="c2"),
        ended(5, "completed"),
        row(9, message="a late word"),
    ])  # fmt: skip
    assert (found.state, found.duration_s, found.source, found.dest) == ("completed", 5.0, "c1", "c2")
    assert (found.type, found.instance, found.request_id, found.step, found.error) == (
        "live-migration", "i-1", "req-1", "transfer", None,
    )  # fmt: skip


def test_one_that_failed_has_the_first_step_that_did_and_its_error() -> None:
    [found] = migrations([
        row(0, "migration.pre.started"),
        row(1, "migration.pre.failed", error="no route"),
        row(2, "migration.rollback.started"),
        row(3, "migration.rollback.failed", error="nothing to undo"),
        ended(4, "error", error="cannot migrate: no route"),
    ])  # fmt: skip
    assert (found.state, found.step, found.error) == ("error", "pre", "no route")


def test_one_whose_error_only_its_end_tells() -> None:
    [found] = migrations([row(0, "migration.pre.started"), ended(4, "failed", error="gone")])
    assert (found.state, found.step, found.error) == ("failed", "pre", "gone")


def test_one_that_has_not_ended_is_running_or_failed() -> None:
    [running] = migrations(
        [row(0, "evacuate.schedule.started"), row(1, "evacuate.schedule.completed"), row(2, "evacuate.claim.started")]
    )
    assert (running.state, running.step, running.type) == ("running", "claim", "evacuate")
    [failed] = migrations([row(0, "evacuate.schedule.started"), row(1, "evacuate.schedule.failed", error="no host")])
    assert (failed.state, failed.error) == ("failed", "no host")


def test_a_step_that_failed_and_was_made_up_for_is_no_failure() -> None:
    [found] = migrations(
        [row(0, "migration.claim.failed", error="full"), row(1, "migration.claim.completed"), ended(2, "completed")]
    )
    assert (found.state, found.error, found.step) == ("completed", None, "claim")


def test_a_resize_goes_on_when_it_is_confirmed() -> None:
    lines = [row(0, "resize.transfer.started"), ended(1, "finished")]
    assert migrations(lines)[0].state == "finished"
    lines.append(row(5, "resize.confirm.started"))
    assert migrations(lines)[0].state == "running"
    lines.append(ended(6, "confirmed"))
    assert (migrations(lines)[0].state, migrations(lines)[0].duration_s) == ("confirmed", 6.0)


def test_failed_ones_come_first_then_those_under_way_then_the_newest() -> None:
    found = migrations([
        row(0, "migration.pre.started", migration="1"), ended(1, "completed", migration="1"),
        row(2, "migration.pre.started", migration="2"),
        row(3, "migration.pre.failed", migration="3", error="x"),
        row(4, "migration.pre.started", migration="4"), ended(5, "cancelled", migration="4"),
        row(6, "migration.pre.started", migration="5"), ended(7, "error", migration="5"),
    ])  # fmt: skip
    assert [(each.id, each.state) for each in found] == [
        ("5", "error"), ("3", "failed"), ("2", "running"), ("4", "cancelled"), ("1", "completed"),
    ]  # fmt: skip


def test_lines_that_only_mention_a_migration_are_none() -> None:
    assert (
        migrations(
            [row(0, message="looks at migration 7"), row(1, "instance.stop"), row(2, "migration.nonsense.started")]
        )
        == []
    )
    assert migrations([]) == []


def test_the_order_is_that_of_the_emitters_clocks() -> None:
    late = {**row(9, "migration.request.started"), "timestamp": "2027-01-15T11:59:58Z"}
    [found] = migrations([ended(1, "completed"), late])
    assert (found.began.isoformat(), found.duration_s) == ("2027-01-15T11:59:58+00:00", 3.0)
