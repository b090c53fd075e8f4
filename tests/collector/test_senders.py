"""Real senders: what they write to the collector's listeners arrives as it was."""

import logging
import logging.handlers
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloud.logs.collector.receivers.settings import ListenerSettings
from tests.collector.receiving import Authority, Receiving, receiving
from tests.waiting import wait_until

LINES = 300
_CONF = """
global(workDirectory="{directory}")
{globals}
module(load="imuxsock" SysSock.Use="off")
{modules}
template(name="wire" type="string" string="<%pri%>1 - compute-01 %app-name% - - - %msg%")
input(type="imuxsock" Socket="{directory}/log.sock" CreatePath="on" UseSpecialParser="off" RateLimit.Interval="0"
      ruleset="out")
ruleset(name="out") {{
  action({action} target="127.0.0.1" port="{port}" template="{template}"
         queue.type="LinkedList" action.resumeRetryCount="-1" action.resumeInterval="1")
}}
"""


@contextmanager
def rsyslogd(directory: Path, port: int, action: str, modules: str = "", more: str = "") -> Iterator[Path]:
    """Running, with its socket in `directory`."""
    conf = directory / "rsyslog.conf"
    template = "wire" if "omrelp" in action or "octet" in action else "RSYSLOG_SyslogProtocol23Format"
    conf.write_text(
        _CONF.format(directory=directory, port=port, action=action, modules=modules, globals=more, template=template)
    )
    log_socket = directory / "log.sock"
    with (directory / "rsyslogd.err").open("wb") as said:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "/usr/sbin/rsyslogd", "-n", "-iNONE", "-f", str(conf)],
            stdout=said,
            stderr=said,
        )
    try:
        wait_until(log_socket.exists, what="rsyslogd's socket")
        yield log_socket
    finally:
        process.terminate()
        process.wait(15)


def send_lines(log_socket: Path, first: int = 0) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(log_socket))
        for number in range(first, first + LINES):
            sender.send(b"<134>1 - - nova-api - - - line %d" % number)


def numbers(made: Receiving) -> list[int]:
    return [int(payload.rpartition(b" ")[2]) for payload in made.payloads]


TCP = ListenerSettings("tcp", "127.0.0.1")


@pytest.mark.server
@pytest.mark.parametrize("framing", ["traditional", "octet-counted"])
def test_rsyslogs_omfwd_over_tcp(tmp_path: Path, framing: str) -> None:
    action = f'type="omfwd" protocol="tcp" TCP_Framing="{framing}"'
    with receiving(TCP) as made, rsyslogd(tmp_path, made.port(), action) as log_socket:
        send_lines(log_socket)
        made.wait_for(LINES)
        assert numbers(made) == list(range(LINES))
        assert made.count("framing_failures_total", "octet_count") == 0


@pytest.mark.server
@pytest.mark.parametrize("driver", ["ossl", "gtls"])
def test_rsyslogs_omfwd_over_tls_with_a_client_certificate(tmp_path: Path, driver: str) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("client", "Compute-01.example", "compute-01")
    listener = ListenerSettings("tls", "127.0.0.1", tls=authority.server(authority))
    files = (
        f'global(defaultNetstreamDriverCAFile="{authority.certificate}" defaultNetstreamDriverCertFile="{certificate}"'
        f' defaultNetstreamDriverKeyFile="{key}")'
    )
    action = (
        f'type="omfwd" protocol="tcp" TCP_Framing="octet-counted" StreamDriver="{driver}" StreamDriverMode="1"'
        ' StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"'
    )
    with receiving(listener) as made, rsyslogd(tmp_path, made.port(), action, more=files) as log_socket:
        send_lines(log_socket)
        made.wait_for(LINES)
        assert numbers(made) == list(range(LINES))
        assert {each.source.names for each in made.received} == {frozenset({"compute-01.example", "compute-01"})}


@pytest.mark.server
@pytest.mark.parametrize("scheme", ["relp", "relp+tls"])
def test_rsyslogs_omrelp_over_an_outage_loses_nothing(tmp_path: Path, scheme: str) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("client", "compute-01")
    with socket.socket() as taken:  # the port outlives a restart of the collector
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    tls = authority.server(authority) if scheme == "relp+tls" else None
    listener = ListenerSettings("relp+tls" if tls else "relp", "127.0.0.1", port, tls=tls)
    action = 'type="omrelp" windowSize="50" timeout="5" conn.timeout="2"'
    if tls:
        action += (
            f' tls="on" tls.caCert="{authority.certificate}" tls.myCert="{certificate}" tls.myPrivKey="{key}"'
            ' tls.authMode="name" tls.permittedPeer=["localhost"]'
        )
    with rsyslogd(tmp_path, port, action, 'module(load="omrelp")') as log_socket:
        with receiving(listener) as first:
            send_lines(log_socket)
            first.wait_for(LINES)
            assert numbers(first) == list(range(LINES))
            wait_until(lambda: first.count("relp_answers_total") == LINES, what="the answers")
        send_lines(log_socket, first=LINES)
        with receiving(listener) as second:
            wait_until(lambda: second.has(LINES), 20, what="what was sent while nobody listened")
            assert sorted(set(numbers(second))) == list(range(LINES, 2 * LINES))
            names = {each.source.names for each in first.received + second.received}
            assert names == {frozenset({"compute-01"}) if tls else None}


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_the_logger_program(scheme: str) -> None:
    protocol = {"tcp": ("--tcp", "--octet-count"), "udp": ("--udp",)}[scheme]
    listener = ListenerSettings("tcp" if scheme == "tcp" else "udp", "127.0.0.1")
    with receiving(listener) as made:
        command = ["logger", "--rfc5424=notime,notq,nohost", *protocol, "--server", "127.0.0.1"]
        subprocess.run([*command, "--port", str(made.port()), "--tag", "x", "one\ttwo"], check=True, timeout=10)
        [payload] = made.wait_for(1)
        assert payload.startswith(b"<13>1 ")
        assert payload.endswith(b"one\ttwo")


def test_pythons_own_handler_over_tcp_keeps_its_newlines() -> None:
    with receiving(TCP) as made:
        handler = logging.handlers.SysLogHandler(("127.0.0.1", made.port()), socktype=socket.SOCK_STREAM)
        for text in ("one", "Traceback:\n  File x\nValueError: 5 <b>", "three\n", "vier ü"):
            handler.emit(logging.makeLogRecord({"msg": text, "levelno": logging.INFO, "levelname": "INFO"}))
        handler.close()
        assert made.wait_for(4) == [
            b"<14>one",
            b"<14>Traceback:\n  File x\nValueError: 5 <b>",
            b"<14>three",
            "<14>vier ü".encode(),
        ]


SYSLOG_NG = shutil.which("syslog-ng", path=os.environ.get("PATH", "") + ":/usr/sbin")
_SYSLOG_NG_CONF = """
@version: 3.38
source s { unix-dgram("%(directory)s/log.sock" flags(syslog-protocol)); };
destination d { network("127.0.0.1" port(%(port)d) transport("tcp") flags(%(flags)s)); };
log { source(s); destination(d); };
"""


@pytest.mark.server
@pytest.mark.skipif(SYSLOG_NG is None, reason="Debian's syslog-ng-core cannot be installed beside its rsyslog")
@pytest.mark.parametrize("flags", ["syslog-protocol", ""])
def test_syslog_ng(tmp_path: Path, flags: str) -> None:
    assert SYSLOG_NG is not None
    with receiving(TCP) as made:
        conf = tmp_path / "syslog-ng.conf"
        conf.write_text(_SYSLOG_NG_CONF % {"directory": tmp_path, "port": made.port(), "flags": flags})
        files = {name: str(tmp_path / f"syslog-ng.{name}") for name in ("persist", "pid", "ctl")}
        command = [SYSLOG_NG, "-F", "-f", str(conf), "-R", files["persist"], "-p", files["pid"], "-c", files["ctl"]]
        process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command])
        try:
            wait_until((tmp_path / "log.sock").exists, what="syslog-ng's socket")
            send_lines(tmp_path / "log.sock")
            made.wait_for(LINES)
            assert numbers(made) == list(range(LINES))
        finally:
            process.terminate()
            process.wait(10)
