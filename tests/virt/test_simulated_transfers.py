"""The steps of the simulated hypervisor by which instances move: what each leaves when a knob lets it fail or wait."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.domain.flavor import Flavor
from cloud.domain.instance import PowerState
from cloud.virt.driver import VirtError
from cloud.virt.moving import TransferPhase
from cloud.virt.simulated.steps import STEPS
from tests.virt.hypervisors import AT_ONCE, SimulatedLab
from tests.virt.instances import UUID, instance
from tests.virt.pair import FIXED_IP, Pair
from tests.waiting import wait_until

RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN
SOURCE, DESTINATION = "compute-01", "compute-02"
BIG = Flavor(id=5, flavorid="5", name="m1.xlarge", memory_mb=16384, vcpus=4, root_gb=30, ephemeral_gb=10)


def files(simulated: SimulatedLab, host: str) -> list[str]:
    directory = simulated.directory(host)
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("step", [step for step in STEPS["transfer"] if step != "depart"])
def test_a_transfer_that_fails_before_the_hand_over_leaves_the_guest_running(
    simulated: SimulatedLab, simulated_pair: Pair, step: str
) -> None:
    simulated.turn(SOURCE, f'fail = ["transfer.{step}@{UUID}:1"]')
    simulated_pair.prepare_and_start()
    end = simulated_pair.end_of_transfer()
    assert end.phase is TransferPhase.FAILED
    assert end.error == (
        f"step transfer.{step} fails by knob 'transfer.{step}@{UUID}:1' of {simulated.directory(SOURCE)}/knobs.toml"
    )
    assert simulated_pair.states() == (RUNNING, None)
    simulated_pair.destination.cancel_arrival(UUID)
    assert files(simulated, DESTINATION) == ["id"]
    simulated_pair.migrate_live()
    assert simulated_pair.states() == (None, RUNNING)
    assert files(simulated, SOURCE) == ["id", "knobs.toml"]


def test_a_transfer_that_fails_after_the_hand_over_has_failed_though_the_guest_is_there(
    simulated: SimulatedLab, simulated_pair: Pair
) -> None:
    simulated.turn(SOURCE, 'fail = ["transfer.depart"]')
    simulated_pair.prepare_and_start()
    assert simulated_pair.end_of_transfer().phase is TransferPhase.FAILED
    assert simulated_pair.states() == (None, RUNNING)
    with pytest.raises(VirtError, match="it is here"):
        simulated_pair.destination.cancel_arrival(UUID)
    simulated_pair.source.clear_departed(UUID, keeps_disk=False)
    assert files(simulated, SOURCE) == ["id", "knobs.toml"]


@pytest.mark.parametrize("step", STEPS["transfer"])
def test_an_abort_ends_a_step_that_waits(simulated: SimulatedLab, simulated_pair: Pair, step: str) -> None:
    simulated.turn(SOURCE, f'delay = ["transfer.{step}:3600"]')
    simulated_pair.prepare_and_start()
    if step == "depart":
        wait_until(lambda: simulated_pair.states() == (None, RUNNING))
    simulated_pair.source.abort_transfer(UUID)
    expected = TransferPhase.COMPLETED if step == "depart" else TransferPhase.CANCELLED
    assert simulated_pair.end_of_transfer().phase is expected


@pytest.mark.parametrize(
    ("step", "verb"),
    [
        ("check_can_come", "receive"),
        ("prepare_arrival", "prepare arrival of"),
        ("prepare_arrival.ready", "prepare arrival of"),
        ("complete_arrival", "complete arrival of"),
        ("take_in", "complete arrival of"),
        ("take_in.define", "complete arrival of"),
    ],
)
def test_a_step_of_the_destination_that_failed_can_be_done_again(
    simulated: SimulatedLab, simulated_pair: Pair, step: str, verb: str
) -> None:
    simulated.turn(DESTINATION, f'fail = ["{step}:1"]')

    def receive() -> None:
        simulated_pair.destination.check_can_come(instance(), block=True, disk_over_commit=False)
        simulated_pair.prepare_and_start()
        assert simulated_pair.end_of_transfer().phase is TransferPhase.COMPLETED
        simulated_pair.destination.complete_arrival(instance(), [FIXED_IP])

    with pytest.raises(VirtError, match=f"^cannot {verb} instance {UUID}: step {step} fails"):
        receive()
    if verb.startswith("complete"):
        simulated_pair.destination.complete_arrival(instance(), [FIXED_IP])
    else:
        receive()
    assert simulated_pair.states() == (None, RUNNING)


@pytest.mark.parametrize(
    ("step", "verb"),
    [
        ("check_can_leave", "let go"),
        ("start_transfer", "start transfer of"),
        ("transfer", "look at transfer of"),
        ("abort_transfer", "abort transfer of"),
        ("force_transfer", "force transfer of"),
        ("cancel_arrival", "cancel arrival of"),
        ("clear_departed", "clear away"),
        ("prepare_disk", "prepare disk of"),
        ("send_disk", "send disk of"),
        ("adopt", "adopt"),
        ("set_aside", "set aside"),
        ("take_back", "take back"),
        ("drop_aside", "drop"),
        ("resize", "resize"),
        ("define_again", "define"),
    ],
)
def test_whatever_is_asked_can_fail(simulated: SimulatedLab, simulated_pair: Pair, step: str, verb: str) -> None:
    simulated.turn(SOURCE, f'fail = ["{step}"]')
    source = simulated_pair.source
    calls: dict[str, Callable[[], object]] = {
        "check_can_leave": lambda: source.check_can_leave(UUID, block=True),
        "start_transfer": lambda: source.start_transfer(UUID, {}, block=True, is_live=True),
        "transfer": lambda: source.transfer(UUID),
        "abort_transfer": lambda: source.abort_transfer(UUID),
        "force_transfer": lambda: source.force_transfer(UUID),
        "cancel_arrival": lambda: source.cancel_arrival(UUID),
        "clear_departed": lambda: source.clear_departed(UUID, keeps_disk=False),
        "prepare_disk": lambda: source.prepare_disk(instance()),
        "send_disk": lambda: source.send_disk(UUID, {}, lambda _percent: None),
        "adopt": lambda: source.adopt(instance(), [], is_running=True),
        "set_aside": lambda: source.set_aside(UUID),
        "take_back": lambda: source.take_back(UUID),
        "drop_aside": lambda: source.drop_aside(UUID, keeps_disk=False),
        "resize": lambda: source.resize(instance()),
        "define_again": lambda: source.define_again(instance(), [], {}),
    }
    with pytest.raises(VirtError, match=f"^cannot {verb} instance {UUID}: step {step} fails by knob"):
        calls[step]()
    assert simulated_pair.states() == (RUNNING, None)


@pytest.mark.parametrize(
    ("step", "fail"),
    [
        ("prepare_disk.ready", lambda pair: pair.destination.prepare_disk(instance())),
        ("adopt.disk", lambda pair: pair.destination.adopt(instance(flavor=BIG), [], is_running=False)),
        ("adopt.define", lambda pair: pair.destination.adopt(instance(flavor=BIG), [], is_running=False)),
    ],
)
def test_a_disk_is_as_it_was_after_a_failure(
    simulated: SimulatedLab, step: str, fail: Callable[[Pair], object]
) -> None:
    pair = Pair(simulated, has_shared_disks=True)
    pair.spawn(is_running=False)
    pair.send()
    pair.destination.cancel_arrival(UUID)
    simulated.turn(DESTINATION, f'fail = ["{step}"]')
    with pytest.raises(VirtError, match=f"step {step} fails"):
        fail(pair)
    assert (simulated.shared_disks / UUID / "disk").stat().st_size == 1 << 30
    pair.source.take_back(UUID)
    assert Path(pair.source.definition(UUID)["disk"]).stat().st_size == 1 << 30
    pair.source.power_on(UUID)
    assert pair.states() == (RUNNING, None)


def test_a_guest_whose_host_has_just_failed_to_adopt_its_disk_can_be_started_at_once(simulated: SimulatedLab) -> None:
    pair = Pair(simulated, has_shared_disks=True)
    pair.spawn(is_running=False)
    simulated.turn(DESTINATION, 'fail = ["adopt.define"]')
    with pytest.raises(VirtError, match=r"adopt\.define"):
        pair.destination.adopt(instance(), [], is_running=False)
    pair.source.power_on(UUID)


def test_progress_can_be_watched_and_goes_as_fast_as_the_knob_says(
    simulated: SimulatedLab, simulated_pair: Pair
) -> None:
    simulated.turn(SOURCE, f'transfer_mb_per_s = 1000\ndirty_mb_per_s = {{"{UUID}" = 800}}')
    simulated_pair.prepare_and_start()
    wait_until(lambda: simulated_pair.source.transfer(UUID).progress >= 2)
    now = simulated_pair.source.transfer(UUID)
    assert now.phase is TransferPhase.RUNNING
    assert now.progress < 60
    assert now.memory_processed_bytes > now.memory_total_bytes - now.memory_remaining_bytes
    assert now.downtime_ms is None
    simulated.turn(SOURCE, f"transfer_mb_per_s = {AT_ONCE}")
    assert simulated_pair.end_of_transfer().phase is TransferPhase.COMPLETED
