"""Logging as a process sets it up: in processes of their own, since it changes what is global."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import jinja2
import pytest

from cloud.logs.emit.settings import LogSettings
from cloud.logs.emit.setup import LogSetupError, set_up_logging

ROOT = Path(__file__).parents[2]
PRELUDE = """
import asyncio, logging, os, signal, sys, threading, warnings
from cloud.logs.emit import logger, request_context
from cloud.logs.emit.cee import CeeFormatter
from cloud.logs.emit.settings import LogSettings
from cloud.logs.emit.setup import set_up_logging

def start(**settings):
    set_up_logging(LogSettings(**settings), service="nova-compute", host="compute-01")
    for name in ("", "nova"):
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(CeeFormatter())
            handler.setStream(sys.stdout)

"""
# As the administration guide shows it, with a file where it has syslog.
GUIDE = """
[loggers]
keys = root, nova
[handlers]
keys = stderr, stdout, watchedfile, null
[formatters]
keys = context, default
[logger_root]
level = WARNING
handlers = null
[logger_nova]
level = {level}
handlers = watchedfile
qualname = nova
[logger_amqp]
level = WARNING
handlers = stderr
qualname = amqp
[handler_stderr]
class = StreamHandler
args = (sys.stderr,)
formatter = context
[handler_stdout]
class = StreamHandler
args = (sys.stdout,)
formatter = context
[handler_watchedfile]
class = handlers.WatchedFileHandler
args = ({file!r},)
formatter = context
[handler_null]
class = NullHandler
formatter = default
args = ()
[formatter_context]
format = %(name)s %(levelname)s %(message)s
[formatter_default]
format = %(message)s
"""


def run(code: str, *args: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", PRELUDE + textwrap.dedent(code), *args],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == status, done.stderr
    return done


def bodies(text: str) -> list[dict[str, Any]]:
    lines = text.splitlines()
    assert all(line.startswith("@cee: {") for line in lines), text
    return [json.loads(line.removeprefix("@cee: ")) for line in lines]


@pytest.fixture(scope="module")
def busy() -> list[dict[str, Any]]:
    """The lines of one process that does a bit of everything, in their order."""
    return bodies(
        run(
            """
            start(level=logging.INFO)
            logger.debug("hidden")
            logger.bind(event="instance.create", n=3).info("spawned {}", "vm")
            logger.log("AUDIT", "audited")
            logger.success("done")
            try:
                {}["key"]
            except KeyError:
                logger.bind(migration="7").exception("failed")
            with request_context(request_id="req-1"):
                logger.info("inside")
                logging.getLogger("nova.api").info("plain %s", "inside")
            logging.getLogger("kombu").info("hidden")
            logging.getLogger("kombu").warning("slow %s", "broker")
            warnings.warn("old option", DeprecationWarning)
            logger.opt(exception=True).error("none either")
            logger.level("NOTICE", no=22)
            logger.log("NOTICE", "taught")
            logger.log(35, "numbered")
            logger.info("braces {} and %s stay without arguments")
            def fail(): raise OSError("in a thread")
            thread = threading.Thread(target=fail, name="worker-1"); thread.start(); thread.join()
            def leave(): raise SystemExit
            thread = threading.Thread(target=leave); thread.start(); thread.join()
            async def main():
                with request_context(request_id="req-2"):
                    await asyncio.gather(*(asyncio.to_thread(lambda: logger.info("task")) for _ in range(2)))
            asyncio.run(main())
            raise ValueError("the end")
            """,
            status=1,
        ).stdout
    )


def line(lines: list[dict[str, Any]], message: str) -> dict[str, Any]:
    (found,) = (line for line in lines if line["message"] == message)
    return found


def test_lines_below_the_level_are_not_written(busy: list[dict[str, Any]]) -> None:
    assert "hidden" not in {line["message"] for line in busy}


def test_line_carries_its_fields_and_speaks_as_nova(busy: list[dict[str, Any]]) -> None:
    said = line(busy, "spawned vm")
    assert said.pop("src").startswith("<string>:")
    assert said == {"message": "spawned vm", "level": "INFO", "logger": "nova", "event": "instance.create", "n": 3}


@pytest.mark.parametrize(
    ("message", "level"),
    [("audited", "AUDIT"), ("done", "SUCCESS"), ("taught", "NOTICE"), ("numbered", "Level 35")],
)
def test_levels_keep_their_names(busy: list[dict[str, Any]], message: str, level: str) -> None:
    assert line(busy, message)["level"] == level


def test_exception_is_passed_once_with_its_fields(busy: list[dict[str, Any]]) -> None:
    said = line(busy, "failed")
    assert (said["exc_type"], said["exc_message"], said["migration"]) == ("KeyError", "'key'", "7")
    assert said["traceback"].count("Traceback (most recent call last)") == 1


def test_exception_that_is_not_there_adds_nothing(busy: list[dict[str, Any]]) -> None:
    assert "exc_type" not in line(busy, "none either")
    assert "traceback" not in line(busy, "none either")


def test_context_rides_along_through_both_doors_and_through_tasks(busy: list[dict[str, Any]]) -> None:
    assert line(busy, "inside")["request_id"] == "req-1"
    assert line(busy, "plain inside")["request_id"] == "req-1"
    assert [said["request_id"] for said in busy if said["message"] == "task"] == ["req-2", "req-2"]
    assert "request_id" not in line(busy, "spawned vm")


def test_librarys_warning_and_pythons_own_go_the_same_way(busy: list[dict[str, Any]]) -> None:
    assert line(busy, "slow broker")["logger"] == "kombu"
    (said,) = (said for said in busy if said["logger"] == "py.warnings")
    assert "DeprecationWarning: old option" in said["message"]
    assert said["level"] == "WARNING"


def test_exception_that_nobody_caught_is_critical(busy: list[dict[str, Any]]) -> None:
    in_thread = line(busy, "uncaught exception in thread")
    assert (in_thread["level"], in_thread["exc_message"]) == ("CRITICAL", "in a thread")
    assert in_thread["thread_name"] == "worker-1"
    last = busy[-1]
    assert (last["message"], last["level"], last["exc_type"]) == ("uncaught exception", "CRITICAL", "ValueError")


def test_leaving_a_thread_by_systemexit_is_nothing_to_tell(busy: list[dict[str, Any]]) -> None:
    assert "SystemExit" not in {said.get("exc_type") for said in busy}


def test_text_with_braces_or_percent_is_left_alone(busy: list[dict[str, Any]]) -> None:
    assert line(busy, "braces {} and %s stay without arguments")


def test_interrupt_from_the_keyboard_is_not_logged() -> None:
    done = run("start()\nraise KeyboardInterrupt", status=-2)
    assert done.stdout == ""
    assert "KeyboardInterrupt" in done.stderr


@pytest.mark.parametrize(("level", "visible"), [(10, ["d", "i", "w"]), (20, ["i", "w"]), (30, ["w"])])
def test_level_rules_both_doors(level: int, visible: list[str]) -> None:
    code = f"""
    start(level={level})
    for door in (logger, logging.getLogger("nova.x")):
        door.debug("d"); door.info("i"); door.warning("w")
    """
    assert [said["message"] for said in bodies(run(code).stdout)] == visible * 2


def test_line_from_a_destructor_or_a_signal_within_another_is_not_lost() -> None:
    code = """
    start(level=logging.INFO)
    class Text:
        def __str__(self):
            logger.info("from __str__")
            signal.raise_signal(signal.SIGUSR1)
            return "outer"
    signal.signal(signal.SIGUSR1, lambda *_: logger.info("from the signal"))
    logger.bind(value=Text()).info("outer")
    logging.getLogger("nova").info("%s", Text())
    """
    done = run(code)
    messages = [said["message"] for said in bodies(done.stdout)]
    assert messages == ["from __str__", "from the signal", "outer"] * 2
    assert done.stderr == ""


def test_two_doors_and_a_garbage_collection_do_not_deadlock() -> None:
    code = """
    from cloud.logs.emit.syslog import SyslogHandler
    set_up_logging(LogSettings(level=20, use_syslog=True, syslog_address=sys.argv[1]), service="s", host="h")
    class Text:
        def __str__(self):
            logger.info("from a text")
            return "x"
    def front():
        for _ in range(300): logger.bind(v=Text()).info("front")
    def behind():
        for _ in range(300): logging.getLogger("nova").info("%s", Text())
    threads = [threading.Thread(target=target, daemon=True) for target in (front, behind, front, behind)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(10)
    print(any(thread.is_alive() for thread in threads), flush=True)
    os._exit(0)  # without waiting for a socket that never comes
    """
    assert run(code, "unix:/nonexistent/log.sock").stdout == "False\n"


def test_guides_logging_conf_rules_the_services_lines(tmp_path: Path) -> None:
    file = tmp_path / "nova.log"
    conf = tmp_path / "logging.conf"
    conf.write_text(GUIDE.format(level="INFO", file=str(file)))
    code = """
    early = logging.getLogger("nova.early")
    set_up_logging(LogSettings(log_config=sys.argv[1], ignored=("debug", "use_syslog")), service="s", host="h")
    logger.debug("no"); logger.info("yes"); logging.getLogger("amqp").error("root is null")
    early.warning("made before the configuration")
    """
    done = run(code, str(conf))
    assert file.read_text().splitlines() == [
        "nova.logs.emit.setup WARNING log-config rules out other logging options",
        "nova INFO yes",
        "nova.early WARNING made before the configuration",
    ]
    assert (done.stdout, done.stderr) == ("", "")


def test_logging_conf_may_use_the_level_audit(tmp_path: Path) -> None:
    file = tmp_path / "nova.log"
    conf = tmp_path / "logging.conf"
    conf.write_text(GUIDE.format(level="AUDIT", file=str(file)))
    run(
        'set_up_logging(LogSettings(log_config=sys.argv[1]), service="s", host="h")\n'
        'logger.info("below"); logger.log("AUDIT", "at"); logger.success("above")',
        str(conf),
    )
    assert file.read_text().splitlines() == ["nova AUDIT at", "nova SUCCESS above"]


def test_ignored_options_are_named_once(tmp_path: Path) -> None:
    conf = service_conf(tmp_path, "INFO", tmp_path / "none.sock")
    code = f"""
    import cloud.logs.emit.syslog as syslog
    lines = []
    syslog.SyslogHandler.emit = lambda self, record: lines.append(record)
    set_up_logging(LogSettings(log_config={str(conf)!r}, ignored=("debug", "verbose")), service="s", host="h")
    print([(line.getMessage(), line.fields["ignored"]) for line in lines])
    """
    assert run(code).stdout == "[('log-config rules out other logging options', 'debug, verbose')]\n"


def service_conf(directory: Path, level: str, socket: Path) -> Path:
    """Our own logging.conf, rendered from its template."""
    environment = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)  # noqa: S701 - no HTML
    environment.filters["literal"] = repr
    template = environment.from_string((ROOT / "logging/templates/service-logging.conf.j2").read_text())
    conf = directory / "nova-compute-logging.conf"
    conf.write_text(
        template.render(
            service={"name": "nova-compute", "level": level, "facility": "local1"},
            host={"name": "compute-01", "syslog": "rsyslog", "syslog_address": f"unix:{socket}"},
        )
    )
    return conf


def test_our_logging_conf_sends_nova_and_libraries_once_each(tmp_path: Path) -> None:
    conf = service_conf(tmp_path, "INFO", tmp_path / "none.sock")
    code = f"""
    import cloud.logs.emit.syslog as syslog
    syslog.SyslogHandler.emit = lambda self, record: print(self.format(record))
    set_up_logging(LogSettings(log_config={str(conf)!r}), service="nova-compute", host="compute-01")
    logger.debug("hidden"); logger.info("mine")
    logging.getLogger("kombu").info("hidden"); logging.getLogger("kombu").warning("theirs")
    """
    assert [said["message"] for said in bodies(run(code).stdout)] == ["mine", "theirs"]


SYSLOG_ARGS = "('unix:/s',)\nkwargs = {'facility': 'local9', 'app_name': 'a', 'hostname': 'h'}"
BROKEN: dict[str, tuple[str, str, str]] = {  # what is replaced in the guide's file, by what, and the complaint
    "formatters": ("[formatters]", "[format]", "there is no 'formatters'"),
    "no-section": ("\n[loggers]", "text before\n[loggers]", "File contains no section headers."),
    "twice": ("[handlers]", "[loggers]", "DuplicateSectionError"),
    "qualname": ("qualname = nova", "", "qualname"),
    "level": ("{level}", "LOUD", "Unknown level: 'LOUD'"),
    "class": ("handlers.WatchedFileHandler", "nova.log.Handler", "ModuleNotFoundError"),
    "args-raise": ("({file!r},)", "(1/0,)", "ZeroDivisionError"),
    "args-syntax": ("({file!r},)", "(oops", "SyntaxError"),
    "args-number": ("({file!r},)", "(1, 2, 3, 4, 5, 6, 7)", "TypeError"),
    "file": ("({file!r},)", "('/nonexistent/nova.log',)", "No such file"),
    "formatter": ("keys = context, default", "keys = context, other", "there is no 'formatter_other'"),
    "handler": ("handlers = watchedfile", "handlers = syslog", "there is no 'syslog'"),
    "format": ("%(message)s", "%(message", "ValueError"),
    "facility": ("handlers.WatchedFileHandler\nargs = ({file!r},)", f"S\nargs = {SYSLOG_ARGS}", "facility 'local9'"),
}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each broken file; one process tries them all."""
    directory = tmp_path_factory.mktemp("broken")
    for name, (old, new, _) in BROKEN.items():
        assert old in GUIDE
        text = GUIDE.replace(old, new).replace("= S\n", "= cloud.logs.emit.syslog.SyslogHandler\n")
        text = text.replace("{level}", "INFO").replace("{file!r}", repr(str(directory / "nova.log")))
        (directory / f"{name}.conf").write_text(text)
    (directory / "empty.conf").write_text("")
    (directory / "bytes.conf").write_bytes(b"[loggers]\nkeys = \xff\n")
    files = sorted(directory.glob("*.conf"))
    code = """
    from cloud.logs.emit.setup import LogSetupError
    for file in sys.argv[1:]:
        try:
            set_up_logging(LogSettings(log_config=file), service="s", host="h")
        except LogSetupError as exc:
            print(str(exc).replace(f"cannot load logging configuration {file}: ", "named: "))
    """
    said = run(code, *map(str, files)).stdout.splitlines()
    return dict(zip((file.stem for file in files), said, strict=True))


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        *((name, complaint) for name, (_, _, complaint) in BROKEN.items()),
        ("empty", "there is no 'formatters'"),
        ("bytes", "UnicodeDecodeError"),
    ],
)
def test_broken_logging_conf_is_one_line_that_names_it(complaints: dict[str, str], name: str, complaint: str) -> None:
    assert complaints[name].startswith("named: ")
    assert complaint in complaints[name]


def test_missing_logging_conf_is_said_to_be_missing() -> None:
    with pytest.raises(LogSetupError, match=r"configuration /nonexistent/l\.conf: FileNotFoundError: .*No such file"):
        set_up_logging(LogSettings(log_config="/nonexistent/l.conf"), service="s", host="h")


@pytest.mark.parametrize("options", [{"syslog_address": "udp://h:1"}, {"syslog_log_facility": "local9"}])
def test_syslog_that_cannot_be_used_is_said(options: dict[str, str]) -> None:
    with pytest.raises(LogSetupError, match=r"cannot log to syslog: cannot use (syslog address|facility)"):
        set_up_logging(LogSettings(use_syslog=True, **options), service="s", host="h")  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [["-c", "import logging; print(logging.__file__)"], ["-m", "logging"]])
def test_folder_logging_does_not_hide_the_standard_library(arguments: list[str]) -> None:
    assert (ROOT / "logging").is_dir()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = done.stdout + done.stderr
    assert str(ROOT / "logging") not in said
    assert "logging" in said
    assert not (ROOT / "logging" / "__init__.py").exists()
