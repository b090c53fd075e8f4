"""What is done to a site, and undone: each fault ends with everything in order again."""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.chaos.accounts import respooled
from tests.chaos.site import Plan, Site

_PLAIN = Plan()
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Fault:
    """`do` is given the site in its steady state, and a source of chance."""

    name: str
    title: str
    do: Callable[[Site, random.Random], None]
    plan: Plan = _PLAIN
    tears_files: bool = False
    """Whether the collector is right to say that files were damaged."""


class FaultError(Exception):
    """A fault had no effect, and what follows would prove nothing."""


def faults(kills: int) -> Sequence[Fault]:
    """All of them, the collector's end in the first `kills` times."""
    return [
        Fault(
            "collector-kill",
            f"collector killed {kills} times (kill -9)",
            partial(kill_collector, times=kills),
            Plan(tcp_hosts=1, lines_per_s=200),
        ),
        Fault("rsyslogd-restart", "rsyslogd restarted 9 times", partial(restart_rsyslogd, times=9)),
        Fault("rsyslogd-kill", "rsyslogd killed 9 times (kill -9)", partial(kill_rsyslogd, times=9)),
        Fault(
            "both-restart",
            "rsyslogd restarted without a collector, 3 times",
            partial(restart_rsyslogd_without_collector, times=3),
        ),
        Fault(
            "both-kill",
            "rsyslogd killed without a collector, 3 times",
            partial(kill_rsyslogd_without_collector, times=3),
        ),
        Fault("disk-full", "disk full for 60 s", partial(fill_disk, seconds=60), Plan(disk_mb=48)),
        Fault("stalled-store", "collector stopped for 45 s (SIGSTOP)", partial(stall, seconds=45), Plan(tcp_hosts=1)),
        Fault(
            "network-cut",
            "network cut 12 times, silent for 40 s once",
            partial(cut_network, times=12, silent_s=40),
            Plan(tcp_hosts=1, has_proxy=True),
        ),
        Fault("clock-jump", "clock 2 days on, 1 hour back, right again", jump_clock, Plan(has_clock=True)),
        Fault("torn-file", "database file or its log torn 6 times", tear_files, tears_files=True),
    ]


def kill_collector(site: Site, chance: random.Random, times: int) -> None:
    """At random: mostly while it stores, sometimes while it starts."""
    for _ in range(times):
        site.collector.kill()
        site.collector.spawn()
        if chance.random() < 0.15:
            time.sleep(chance.uniform(0, 2.5))
            continue
        site.collector.wait_until_ready()
        site.wait_for_rows()
        time.sleep(chance.expovariate(2.5))
    site.collector.kill()
    site.collector.start()


def restart_rsyslogd(site: Site, chance: random.Random, times: int) -> None:
    for _ in range(times):
        time.sleep(chance.uniform(0.2, 2))
        host = chance.choice(site.hosts)
        host.stop_rsyslogd()
        host.start_rsyslogd()


def kill_rsyslogd(site: Site, chance: random.Random, times: int) -> None:
    for _ in range(times):
        time.sleep(chance.uniform(0.2, 2))
        host = chance.choice(site.hosts)
        host.kill_rsyslogd()
        host.start_rsyslogd()


def restart_rsyslogd_without_collector(site: Site, chance: random.Random, times: int) -> None:
    """The collector is killed, and back only after every host's rsyslogd has been stopped and started."""
    for _ in range(times):
        site.collector.kill()
        time.sleep(chance.uniform(0.5, 2))
        for host in site.hosts:
            host.stop_rsyslogd()
            site.respooled |= respooled(host.spool)
            host.start_rsyslogd()
        site.collector.start()
        site.wait_for_rows()


def kill_rsyslogd_without_collector(site: Site, chance: random.Random, times: int) -> None:
    """As the cellar's fuse: the collector first, then every host's rsyslogd."""
    for _ in range(times):
        site.collector.kill()
        time.sleep(chance.uniform(0.5, 2))
        for host in site.hosts:
            host.kill_rsyslogd()
            host.start_rsyslogd()
        site.collector.start()
        site.wait_for_rows()


def fill_disk(site: Site, chance: random.Random, seconds: float) -> None:
    """Full, and kept so: what the collector itself gives back is taken, too."""
    disk = site.disk
    assert disk is not None
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        disk.fill()
        time.sleep(0.5)
    if "store refuses" not in site.collector.said():
        raise FaultError("the collector has not noticed a full disk")
    disk.clear()


def stall(site: Site, chance: random.Random, seconds: float) -> None:
    site.collector.pause()
    time.sleep(seconds)
    site.collector.resume()


def cut_network(site: Site, chance: random.Random, times: int, silent_s: float) -> None:
    """Resets with and without a time in which nothing connects, wherever the bytes are; then silence without a reset."""
    for number in range(times):
        time.sleep(chance.uniform(0.1, 1.5))
        for proxy in site.proxies:
            if number % 2:
                proxy.reset()
            else:
                proxy.cut()
        if not number % 2:
            time.sleep(chance.uniform(0.1, 3))
        for proxy in site.proxies:
            proxy.heal()
    for proxy in site.proxies:
        proxy.hold()
    time.sleep(silent_s)  # omrelp gives up after 30 s, connects again, and sends again what is held here
    for proxy in site.proxies:
        proxy.heal()


def jump_clock(site: Site, chance: random.Random) -> None:
    """While it runs, and once between two lives."""
    clock = site.clock
    assert clock is not None
    for shift_s in (2 * _DAY_S, -3600, 0, 2 * _DAY_S):
        clock.shift_s(shift_s)
        site.wait_for_rows()
        time.sleep(2)
    site.collector.kill()
    clock.shift_s(-3600)
    site.collector.start()
    site.wait_for_rows()
    clock.shift_s(0)
    site.wait_for_rows()
    days = {path.name[:15] for path in site.collector.data.glob("logs-*.duckdb")}
    if len(days) < 2:
        raise FaultError("the collector has not noticed a clock that jumps")


def tear_files(site: Site, chance: random.Random) -> None:
    """While the collector is down, a file is cut short or gets bytes that are not its own; then its log."""
    for tear in (cut_short, overwrite, overwrite_head):
        site.collector.stop()  # all is in the file
        tear(newest(site, "logs-*.duckdb"), chance)
        site.collector.start()
        site.wait_for_rows(2000)
    for tear in (cut_short, overwrite, overwrite):
        site.collector.kill()  # the last rows are in its log
        tear(newest(site, "logs-*.duckdb.wal"), chance)
        site.collector.start()
        site.wait_for_rows(2000)


def cut_short(path: Path, chance: random.Random) -> None:
    """By a tenth to all but a tenth."""
    os.truncate(path, int(path.stat().st_size * chance.uniform(0.1, 0.9)))


def overwrite(path: Path, chance: random.Random) -> None:
    """Two KiB, anywhere."""
    _write(path, chance.randrange(path.stat().st_size), chance.randbytes(2048))


def overwrite_head(path: Path, chance: random.Random) -> None:
    """The first four KiB."""
    _write(path, 0, chance.randbytes(4096))


def _write(path: Path, position: int, garbage: bytes) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(position)
        file.write(garbage[: size - position])


def newest(site: Site, pattern: str) -> Path:
    """The file of the store that was written last."""
    return max(site.collector.data.glob(pattern), key=lambda path: path.stat().st_mtime)
