"""A process that is many compute hosts: of each a nova-compute and a nova-network, as they run on a host of their own.

python -m bench.sim.hosts --config DIRECTORY --syslog tcp://127.0.0.1:1024 --counts FILE HOST...

They are the real daemons, each with its own RPC server, bus connections, driver directory and reports; what they share
is the process and its connection to the collector. Each line bears its own host and service, and is counted for it in
FILE. It says `ready` on stdout when all have started, and ends at SIGTERM.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from bench.sim.counts import CountFile
from cloud.logs.emit.cee import CeeFormatter
from cloud.logs.emit.setup import log_through
from cloud.logs.emit.speaker import Speaker, in_same_voice, speaking_as
from cloud.logs.emit.syslog import SyslogHandler
from cloud.logs.facilities import FACILITIES
from cloud.services.compute.daemon import DAEMON as COMPUTE
from cloud.services.daemon import RunningDaemon, read_daemon_configuration
from cloud.services.network.daemon import DAEMON as NETWORK

DAEMONS = {daemon.binary: daemon for daemon in (COMPUTE, NETWORK)}
HOSTS_CONF = "hosts.conf"
"""Read last: what is each host's own, in words of its name."""
ITSELF = "hosts"
"""As what the process logs where no service of it speaks."""
STOP_TIMEOUT_S = 60.0
QUEUE_MESSAGES = 100_000
"""Lines that may wait for the collector, as many services share the queue."""


@dataclass(frozen=True, slots=True)
class RunningService:
    """A daemon, and who it is."""

    speaker: Speaker
    daemon: RunningDaemon


def speakers_of(hosts: Sequence[str]) -> Iterator[Speaker]:
    """All services of `hosts`, in the order in which they are started and counted."""
    for host in hosts:
        for binary in DAEMONS:
            yield Speaker(host, binary, FACILITIES[binary])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="the directory with nova.conf and the others")
    parser.add_argument("--syslog", required=True, help="where lines go")
    parser.add_argument("--counts", type=Path, required=True, help="the file that lines are counted in")
    parser.add_argument("hosts", nargs="+")
    options = parser.parse_args()
    counts = CountFile(options.counts, list(speakers_of(options.hosts)))
    handler = SyslogHandler(
        options.syslog,
        facility="local7",
        app_name=ITSELF,
        hostname=options.hosts[0],
        queue_messages=QUEUE_MESSAGES,
        make_counts=counts.counts,
    )
    handler.setFormatter(CeeFormatter())
    log_through(handler, logging.INFO)
    stops: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stops.put(received))
    with ExitStack() as stack:
        services = [start(speaker, options.config, stack) for speaker in speakers_of(options.hosts)]
        print("ready", flush=True)
        stop(services, stops.get())
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)  # as the daemons do: what was given up is not waited for


def start(speaker: Speaker, config: Path, stack: ExitStack) -> RunningService:
    """Start one service; what is to be closed after its stop goes to `stack`."""
    daemon = DAEMONS[speaker.service]
    files = [config / "nova.conf", config / f"{daemon.binary}.conf", config / HOSTS_CONF]
    with speaking_as(speaker):
        running = RunningDaemon(daemon, read_daemon_configuration(daemon, files, speaker.host), stack)
        running.start(files)
    return RunningService(speaker, running)


def stop(services: Sequence[RunningService], received: int) -> None:
    """Stop all at once."""
    stopping = []
    for service in services:
        with speaking_as(service.speaker):
            stopping.append(threading.Thread(target=in_same_voice(service.daemon.stop), args=(received,), daemon=True))
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join(STOP_TIMEOUT_S)


if __name__ == "__main__":
    main()
