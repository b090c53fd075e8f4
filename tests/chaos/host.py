"""A host as our generator makes it: its files, a real rsyslogd on them, and a service that logs."""

from pathlib import Path
from typing import Literal

from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from tests.chaos.sender import Sender
from tests.rsyslog import RsyslogHost

Protocol = Literal["relp", "tcp"]
_MARK_INTERVAL_S = 1  # a broken session is noticed when rsyslogd next sends, also where a scene has ended


class Host:
    """The host `name` below `tree`, whose rsyslogd forwards to a port of loopback."""

    def __init__(self, name: str, tree: Path, protocol: Protocol, lines_per_s: int) -> None:
        self.name = name
        self.protocol = protocol
        self._tree = tree
        self._rsyslogd = RsyslogHost()
        self.sender = Sender(tree / "run/nova/log.sock", lines_per_s)

    @property
    def log_directory(self) -> Path:
        return self._tree / "var/log/nova"

    @property
    def spool(self) -> Path:
        """Where rsyslogd keeps what it could not send before it was stopped."""
        return self._tree / "var/spool/rsyslog"

    def start(self, port: int) -> None:
        """Render, and start rsyslogd and the service."""
        where = {
            "address": "127.0.0.1",
            "port": port,
            "protocol": self.protocol,
            "mark_interval_s": _MARK_INTERVAL_S,
        }
        entry = {"services": ["nova-api"], "base_rsyslog": True, "paths": {"root": str(self._tree)}}
        inventory = Inventory.model_validate({"collector": where, "hosts": {self.name: entry}})
        self._tree.mkdir()
        write_tree(render_host(inventory, self.name), self._tree)
        self.start_rsyslogd()
        self.sender.start()

    def start_rsyslogd(self) -> None:
        self._rsyslogd.start(self._tree)

    def stop_rsyslogd(self) -> None:
        """As systemd does; the service goes on trying."""
        self._rsyslogd.stop()

    def kill_rsyslogd(self) -> None:
        """With SIGKILL."""
        self._rsyslogd.kill()

    def stop(self) -> None:
        self.sender.stop()
        self._rsyslogd.stop()
