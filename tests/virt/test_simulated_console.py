"""What a simulated guest writes to its console as time passes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.flavor import Resources
from cloud.virt.simulated.console import console_text
from cloud.virt.simulated.guest import Change, Guest, Turn

START = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
GUEST = Guest(
    uuid="7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2",
    name="web",
    size=Resources(memory_mb=512, vcpus=2, disk_gb=1),
    fixed_ips=(FixedIp("10.0.0.2", "fa:16:3e:00:00:02", "private"),),
    image_bytes=512,
    turns=(Turn(START, Change.ON),),
)
BOOT = """\
[    0.000000] simulated machine 7b0c9c54-31f7-4a8e-a5a6-8c3a80b4a1d2
[    0.004000] cpu: 2 online, memory: 512 MiB
[    0.021000] console: ttyS0 at 115200 baud
[    0.356000] vda: 1 GiB, 512 bytes of image
[    0.612000] eth0: fa:16:3e:00:00:02, link up, address 10.0.0.2
[    1.204000] vda1: root file system mounted
[    2.318000] sshd: listening on port 22
[    2.907000] web login:
"""


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_it_boots_line_by_line() -> None:
    assert console_text(GUEST, START) == BOOT[: BOOT.index("\n") + 1]
    assert console_text(GUEST, after(0.5)) == "".join(BOOT.splitlines(keepends=True)[:4])
    assert console_text(GUEST, after(3)) == BOOT


def test_it_says_whose_dhcp_it_has() -> None:
    text = console_text(replace(GUEST, dhcp_server="10.0.0.1"), after(1))
    assert "eth0: fa:16:3e:00:00:02, link up, address 10.0.0.2 from 10.0.0.1\n" in text


def test_it_says_how_it_is_every_minute() -> None:
    text = console_text(GUEST, after(130))
    assert text.startswith(BOOT)
    said = text.removeprefix(BOOT).splitlines()
    assert [line.partition(",")[0] for line in said] == [
        "[   60.000000] status: up 1 min",
        "[  120.000000] status: up 2 min",
    ]


def test_what_was_said_stays_as_it_was() -> None:
    assert console_text(GUEST, after(600)).startswith(console_text(GUEST, after(130)))


def test_each_way_of_ending_has_its_last_words() -> None:
    guest = GUEST.turned(Change.RESTART, after(3)).turned(Change.RESET, after(6)).turned(Change.OFF, after(9))
    assert console_text(guest, after(1000)) == (
        BOOT + "[    3.000000] system restarts\n" + BOOT + BOOT + "[    3.000000] power key pressed, system halts\n"
    )


def test_it_keeps_a_bounded_part_of_a_long_life() -> None:
    guest = GUEST
    for number in range(1, 100):
        guest = guest.turned(Change.RESET, after(number * 86400))
    assert len(console_text(guest, after(200 * 86400))) < 40_000


def test_a_clock_that_was_set_back_is_the_beginning() -> None:
    assert console_text(GUEST, after(-100)) == BOOT[: BOOT.index("\n") + 1]
