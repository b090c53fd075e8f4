"""A logging.conf is judged as fileConfig would read it, without making what it names."""

import logging
from pathlib import Path

import pytest

from cloud.logs.generator.logging_conf import Logger, LoggingConfError, read_logging_conf

GUIDE = """
[loggers]
keys = root, nova

[handlers]
keys = stderr, stdout, watchedfile, syslog, null

[formatters]
keys = context, default

[logger_root]
level = WARNING
handlers = null

[logger_nova]
level = INFO
handlers = watchedfile, syslog
qualname = nova

[handler_stderr]
class = StreamHandler
args = (sys.stderr,)
formatter = context

[handler_stdout]
class = StreamHandler
args = (sys.stdout,)
formatter = context

[handler_watchedfile]
class = FileHandler
args = ('@dir@/nova.log',)
formatter = context

[handler_syslog]
class = handlers.SysLogHandler
args = ('@dir@/no-socket', handlers.SysLogHandler.LOG_LOCAL0)
formatter = context

[handler_null]
class = NullHandler
formatter = default
args = ()

[formatter_context]
format = %(asctime)s %(levelname)s %(name)s %(message)s

[formatter_default]
format = %(message)s
"""


def read(directory: Path, text: str) -> tuple[Logger, ...]:
    path = directory / "logging.conf"
    path.write_text(text.replace("@dir@", str(directory)))
    return read_logging_conf(path)


def test_the_guides_own_kind_passes_and_nothing_is_made(tmp_path: Path) -> None:
    assert read(tmp_path, GUIDE) == (
        Logger("root", logging.WARNING, logging.WARNING),
        Logger("nova", logging.INFO, logging.INFO),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["logging.conf"]


def test_threshold_of_a_logger_is_that_of_its_most_open_handler(tmp_path: Path) -> None:
    text = GUIDE.replace("class = handlers.SysLogHandler", "class = handlers.SysLogHandler\nlevel = ERROR")

    assert read(tmp_path, text)[1].threshold == logging.INFO  # by the file
    text = text.replace("handlers = watchedfile, syslog", "handlers = syslog")
    assert read(tmp_path, text)[1] == Logger("nova", logging.INFO, logging.ERROR)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("keys = root, nova", "keys = nova", "[loggers] does not list root"),
        ("keys = root, nova", "keys = root, nova, amqp", "[loggers] lists amqp, and [logger_amqp] is missing"),
        ("[formatters]\n", "[formaters]\n", "[formatters] with its keys is missing"),
        ("level = INFO", "level = LOUD", "[logger_nova] level = LOUD is not one of CRITICAL, "),
        ("handlers = null", "", "[logger_root] names no handlers"),
        ("handlers = null", "handlers = nul", "[logger_root] names handler nul, which [handlers] does not list"),
        ("qualname = nova", "", "[logger_nova] has no qualname"),
        ("qualname = nova", "qualname = nova\npropagate = no", "[logger_nova] propagate = no is neither 0 nor 1"),
        ("class = FileHandler", "", "[handler_watchedfile] has no class"),
        ("class = FileHandler", "class = FilesHandler", "class = FilesHandler cannot be imported"),
        ("class = FileHandler", "class = cloud.logs.Nothing", "class = cloud.logs.Nothing cannot be imported"),
        ("class = FileHandler", "class = Formatter", "class = Formatter is not a logging.Handler"),
        ("class = FileHandler", "class = getLogger", "class = getLogger is not a class"),
        ("formatter = default", "formatter = defalt", "[handler_null] names formatter defalt, which [formatters]"),
        ("format = %(message)s", "class = Handler", "[formatter_default] class = Handler is not a logging.Formatter"),
        ("('@dir@/nova.log',)", "('@dir@/nova.log')", "one value needs a comma after it"),
        ("('@dir@/nova.log',)", "(open('@dir@/made', 'w'),)", "is not a literal"),
        ("('@dir@/nova.log',)", "(__import__('os').getcwd(),)", "is not a literal"),
        ("('@dir@/nova.log',)", "(sys.stdout.__class__,)", "is not a literal"),
        ("('@dir@/nova.log',)", "(handlers.SysLogHandler.LOG_LOCAL9,)", "there is no handlers.SysLogHandler."),
        ("('@dir@/nova.log',)", "('a', 'b', 'c', 'd', 'e', 'f')", "args and kwargs do not fit FileHandler: too many"),
        ("args = ()", "args = ()\nkwargs = {'level': 'INFO', 'colour': 1}", "got an unexpected keyword argument"),
        ("args = ()", "args = ('100%',)", "'%' must be followed by '%' or '('"),
        ("[logger_root]", "[logger_nova]", "section 'logger_nova' already exists"),
        ("[loggers]", "loggers", "File contains no section headers"),
    ],
)
def test_what_would_keep_a_service_from_starting_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in GUIDE
    with pytest.raises(LoggingConfError) as caught:
        read(tmp_path, GUIDE.replace(old, new, 1))

    assert problem in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["logging.conf"]
