"""What a knob is, when it is turned, and what a file of them that is wrong does."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from cloud.virt.driver import VirtError
from cloud.virt.simulated.knob import DelayKnob, FailKnob, Knob
from cloud.virt.simulated.knobs import Knobs, KnobSettings
from tests.virt.instances import OTHER, UUID


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "knobs.toml"


@pytest.fixture
def warnings() -> Iterator[list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    logger.remove()
    sink = logger.add(lambda message: said.append(message.record["extra"]), level="WARNING", catch=False)
    yield said
    logger.remove(sink)


def knobs(file: Path, *, fail: tuple[str, ...] = (), waited_s: list[float] | None = None, chance: float = 0) -> Knobs:
    waited_s = [] if waited_s is None else waited_s
    return Knobs(KnobSettings.from_texts(fail, ()), file, wait_s=waited_s.append, chance=lambda: chance)


def fails(knobs: Knobs, step: str, uuid: str | None = UUID) -> bool:
    try:
        knobs.turn(step, uuid)
    except VirtError:
        return True
    return False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spawn", FailKnob(Knob("spawn", "spawn", None, None))),
        ("spawn:2", FailKnob(Knob("spawn:2", "spawn", None, "2"), times=2)),
        (f"destroy.disk@{UUID}", FailKnob(Knob(f"destroy.disk@{UUID}", "destroy.disk", UUID, None))),
        (f"reboot@{UUID}:12.5%", FailKnob(Knob(f"reboot@{UUID}:12.5%", "reboot", UUID, "12.5%"), chance=0.125)),
    ],
)
def test_a_failure_reads_as_it_is_written(text: str, expected: FailKnob) -> None:
    assert FailKnob.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "spwan", "spawn.", "spawn@", "spawn:", "spawn:x", "spawn:-1", "spawn:101%", "spawn:nan%", "spawn:9999999999"],
)
def test_what_is_no_failure_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=f"^cannot read knob '{text}': "):
        FailKnob.parse(text)


@pytest.mark.parametrize("text", ["spawn", "spawn:", "spawn:x", "spawn:-1", "spawn:inf", "spawn:3601"])
def test_what_is_no_delay_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=f"^cannot read knob '{text}': "):
        DelayKnob.parse(text)


def test_a_knob_fails_its_step_of_every_instance_and_names_itself(file: Path) -> None:
    turned = knobs(file, fail=("spawn.disk",))
    with pytest.raises(VirtError) as raised:
        turned.turn("spawn.disk", UUID)
    assert str(raised.value) == "step spawn.disk fails by knob 'spawn.disk' of [simulated] in nova.conf"
    assert fails(turned, "spawn.disk", OTHER)
    assert not fails(turned, "spawn")
    assert not fails(turned, "destroy.disk")


def test_a_knob_of_one_instance_leaves_others_alone(file: Path) -> None:
    turned = knobs(file, fail=(f"reboot@{UUID}",))
    assert fails(turned, "reboot", UUID)
    assert not fails(turned, "reboot", OTHER)


def test_a_knob_with_a_number_is_spent_after_so_many_times(file: Path) -> None:
    turned = knobs(file, fail=("spawn:2",))
    assert [fails(turned, "spawn") for _ in range(4)] == [True, True, False, False]


def test_a_knob_with_per_cent_goes_by_chance(file: Path) -> None:
    assert fails(knobs(file, fail=("spawn:25%",), chance=0.24), "spawn")
    assert not fails(knobs(file, fail=("spawn:25%",), chance=0.25), "spawn")


def test_the_file_counts_from_when_it_says_so_until_it_does_not(file: Path) -> None:
    turned = knobs(file)
    assert not fails(turned, "spawn")
    file.write_text('fail = ["spawn:1"]')
    with pytest.raises(VirtError, match=f"by knob 'spawn:1' of {file}$"):
        turned.turn("spawn", UUID)
    assert not fails(turned, "spawn")
    file.write_text("")
    assert not fails(turned, "spawn")
    file.write_text('fail = ["spawn:1"]')
    assert fails(turned, "spawn")


def test_a_delay_is_waited_for_before_a_failure(file: Path) -> None:
    waited_s: list[float] = []
    turned = knobs(file, fail=("spawn.boot",), waited_s=waited_s)
    file.write_text(f'delay = ["spawn.boot:2.5", "spawn.boot@{OTHER}:9"]')
    assert fails(turned, "spawn.boot", UUID)
    assert waited_s == [2.5]


def test_shut_down_has_those_that_the_file_lists(file: Path) -> None:
    turned = knobs(file)
    assert turned.shut_down() == frozenset()
    file.write_text(f'shut_down = ["{UUID}"]')
    assert turned.shut_down() == {UUID}


def test_speeds_are_those_of_the_file(file: Path) -> None:
    turned = knobs(file)
    assert (turned.transfer_mb_per_s(), turned.dirty_mb_per_s(UUID)) == (None, 0.0)
    file.write_text(f'transfer_mb_per_s = 50\ndirty_mb_per_s = {{"{UUID}" = 60.5}}')
    assert (turned.transfer_mb_per_s(), turned.dirty_mb_per_s(UUID), turned.dirty_mb_per_s(OTHER)) == (50, 60.5, 0)


def test_a_delay_ends_with_what_it_is_to_end_with(file: Path) -> None:
    waited_s: list[float] = []
    turned = knobs(file, waited_s=waited_s)
    file.write_text('delay = ["transfer.memory:3600"]')
    until = threading.Event()
    until.set()
    turned.turn("transfer.memory", UUID, until=until)
    assert waited_s == []


@pytest.mark.parametrize(
    "text",
    [
        "fail = [",
        'fail = "spawn"',
        "fail = [1]",
        'fail = ["spwan"]',
        'delay = ["spawn"]',
        'fails = ["spawn"]',
        "dirty_mb_per_s = 5",
        'dirty_mb_per_s = {"a" = "fast"}',
        'dirty_mb_per_s = {"a" = -1}',
        "transfer_mb_per_s = 0",
        "transfer_mb_per_s = true",
        "transfer_mb_per_s = nan",
        "#" * 65537,
        "\x00",
    ],
)
def test_a_file_that_is_wrong_turns_no_knob_and_is_said_once(
    file: Path, text: str, warnings: list[dict[str, Any]]
) -> None:
    file.write_text(text)
    turned = knobs(file)
    assert not fails(turned, "spawn")
    assert not fails(turned, "spawn")
    assert [line["file"] for line in warnings] == [str(file)]


def test_nova_confs_knobs_stay_when_the_file_is_wrong(file: Path, warnings: list[dict[str, Any]]) -> None:
    file.write_bytes(b"\xff")
    assert fails(knobs(file, fail=("spawn",)), "spawn")
