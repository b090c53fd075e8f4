"""A host's rsyslog files -> what rsyslogd says about them, merged with the rsyslog.conf that includes them."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloud.logs.generator.finding import Finding
from cloud.logs.generator.tree import FRAGMENT, HostTree

TIMEOUT_S = 20.0

STOCK_RSYSLOG_CONF = Path(__file__).parent / "debian12-rsyslog.conf"

_SBIN = os.pathsep + os.pathsep.join(("/usr/sbin", "/sbin"))  # not on every user's PATH
_INCLUDE = re.compile(r'(?im)^(?P<before>\s*(?:\$IncludeConfig\s+|include\(\s*file="))[^\s"]*rsyslog\.d/[^\s"]*')
_WORK_DIRECTORY = re.compile(
    r'(?im)(?P<before>^\s*\$WorkDirectory\s+|\bworkDirectory="|\bqueue\.spoolDirectory=")(?P<path>[^\s"]+)'
)
_CERTIFICATE = re.compile(r'(?im)(?P<before>\btls\.(?:caCert|myCert|myPrivKey)=")(?P<path>/[^"]+)')
_FRAME = re.compile(r"config validation run \(level|End of config validation run")


def check_rsyslog(tree: HostTree, timeout_s: float = TIMEOUT_S) -> Iterator[Finding]:
    """Run `rsyslogd -N1` on a copy: fragments fail or pass for the wrong reasons when they are checked alone.

    Nothing is made where the files say; the folders that must exist for the check are temporary.
    """
    if tree.rsyslog_d is None:
        return
    fragment = tree.rsyslog_d / FRAGMENT
    rsyslogd = shutil.which("rsyslogd", path=os.environ.get("PATH", os.defpath) + _SBIN)
    if rsyslogd is None:
        cause = "rsyslogd is not installed; install the package rsyslog"
        yield Finding(tree.host, fragment, "error", f"cannot check {fragment.name}: {cause}")
        return
    with tempfile.TemporaryDirectory(prefix="t-") as directory:
        try:
            copy = _merge(tree, tree.rsyslog_d, Path(directory))
            run = subprocess.run(
                [rsyslogd, "-N1", "-f", str(copy.rsyslog_conf)],
                capture_output=True,
                check=False,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                timeout=timeout_s,
            )
        except (OSError, UnicodeDecodeError) as exc:
            yield Finding(tree.host, fragment, "error", f"cannot check {fragment.name}: {exc}")
            return
        except subprocess.TimeoutExpired:
            yield Finding(tree.host, fragment, "error", f"cannot check {fragment.name}: no answer in {timeout_s:g} s")
            return
    said = [line for line in (run.stderr + run.stdout).splitlines() if line.strip() and not _FRAME.search(line)]
    if run.returncode != 0 and not said:
        said = [f"rsyslogd -N1 ended with {run.returncode} and gave no reason"]
    for line in said:
        message = copy.with_real_names(line).removeprefix("rsyslogd: ").strip()
        path = next((real for real in copy.real_names.values() if real.endswith(".conf") and real in message), fragment)
        yield Finding(tree.host, Path(path), "error" if run.returncode else "warning", message)


@dataclass(frozen=True, slots=True)
class _MergedCopy:
    rsyslog_conf: Path
    real_names: dict[str, str]
    """Of each temporary path."""

    def with_real_names(self, message: str) -> str:
        for temporary, real in self.real_names.items():
            message = message.replace(temporary, real)
        return message


def _merge(tree: HostTree, rsyslog_d: Path, directory: Path) -> _MergedCopy:
    """Copy base and fragments with their line numbers kept, includes and work directories led into `directory`.

    So are the files of certificates that this machine does not have: the host whose tree it is may have them.
    """
    base = tree.base_rsyslog_conf or STOCK_RSYSLOG_CONF
    rsyslog_conf, fragments, spool = directory / "rsyslog.conf", directory / "rsyslog.d", directory / "spool"
    fragments.mkdir()
    spool.mkdir()
    real_names = {str(rsyslog_conf): str(base)}
    for source, copy in ((base, rsyslog_conf), *((path, fragments / path.name) for path in rsyslog_d.glob("*.conf"))):
        text = source.read_text(encoding="utf-8")
        for match in _WORK_DIRECTORY.finditer(text):
            real_names[str(spool)] = match["path"]
        text = _INCLUDE.sub(rf"\g<before>{fragments}/*.conf", text)
        for path in {match["path"] for match in _CERTIFICATE.finditer(text)}:
            if not Path(path).exists():
                stand_in = directory / f"certificate-{len(real_names)}"
                stand_in.touch()
                real_names[str(stand_in)] = path
                text = text.replace(f'="{path}"', f'="{stand_in}"')
        copy.write_text(_WORK_DIRECTORY.sub(rf"\g<before>{spool}", text), encoding="utf-8")
        real_names[str(copy)] = str(source)
    return _MergedCopy(rsyslog_conf, real_names)
