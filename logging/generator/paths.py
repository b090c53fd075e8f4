"""The directories of a host: each follows from `root` unless it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

MAX_SOCKET_PATH_BYTES = 107  # sun_path holds 108, and the last is NUL

_BELOW_ROOT = {
    "etc": "etc/nova",
    "rsyslog_d": "etc/rsyslog.d",
    "run": "run/nova",
    "log": "var/log/nova",
    "spool": "var/spool/rsyslog",
    "state": "var/lib/nova",
    "libvirt_log": "var/log/libvirt",
    "logrotate_d": "etc/logrotate.d",
    "systemd": "etc/systemd/system",
    "sysusers_d": "etc/sysusers.d",
}
_RENDERED_INTO = ("etc", "rsyslog_d", "logrotate_d", "systemd", "sysusers_d")


class PathError(ValueError):
    """A directory that cannot be used; `key` says which."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a host keeps things; all absolute. The rendered tree mirrors `root`: what is rendered is below it."""

    root: PurePosixPath
    etc: PurePosixPath
    rsyslog_d: PurePosixPath
    run: PurePosixPath
    log: PurePosixPath
    spool: PurePosixPath
    state: PurePosixPath
    libvirt_log: PurePosixPath
    """libvirt's, which makes it: libvirtd.log, and a file for each domain in qemu/."""
    logrotate_d: PurePosixPath
    systemd: PurePosixPath
    sysusers_d: PurePosixPath

    @property
    def socket(self) -> PurePosixPath:
        """rsyslog's own, for the services: on systemd hosts /dev/log is journald's, which reformats and limits."""
        return self.run / "log.sock"

    @property
    def dev_log(self) -> PurePosixPath:
        """What /dev/log is to a host of its own: for dnsmasq and libvirtd, where our own base configuration runs."""
        return self.run / "dev-log"

    @property
    def nova_log(self) -> PurePosixPath:
        """Every line of nova's and every line that was forwarded, numbered where it was: backfill reads it."""
        return self.log / "nova.log"

    @property
    def rsyslogd_pid(self) -> PurePosixPath:
        """Where an rsyslogd on our own base configuration is started with its pid file."""
        return self.run / "rsyslogd.pid"

    @property
    def syslog(self) -> PurePosixPath:
        """Where our own base configuration writes what isn't nova's."""
        return self.log.parent / "syslog"

    @property
    def rsyslog_conf(self) -> PurePosixPath:
        return self.rsyslog_d.parent / "rsyslog.conf"

    @property
    def needed_directories(self) -> tuple[PurePosixPath, ...]:
        """What must exist before rsyslogd and the services start; rsyslogd refuses a missing work directory."""
        return (self.run, self.log, self.spool, self.state)

    def in_tree(self, path: PurePosixPath) -> str:
        """`path` relative to `root`."""
        return str(path.relative_to(self.root))


def derive_paths(given: Mapping[str, str]) -> Paths:
    """The paths of a host of which `given` are set (keys as in Paths); PathError for a set that cannot work."""
    root = PurePosixPath(given.get("root", "/"))
    paths = Paths(root=root, **{key: PurePosixPath(given.get(key, root / below)) for key, below in _BELOW_ROOT.items()})
    for key in _RENDERED_INTO:
        path: PurePosixPath = getattr(paths, key)
        if not path.is_relative_to(root):
            raise PathError(key, f"{path} is not below root {root}, so the tree has no place for it")
    for socket in (paths.socket, paths.dev_log):
        if (size := len(str(socket).encode())) > MAX_SOCKET_PATH_BYTES:
            raise PathError(
                "run", f"socket {socket} has {size} bytes, and a socket's path at most {MAX_SOCKET_PATH_BYTES}"
            )
    return paths
