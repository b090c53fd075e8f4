"""The text of a logging.conf -> its loggers and handlers, read as fileConfig would and with nothing made or called."""

import ast
import configparser
import importlib
import inspect
import logging
import logging.handlers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud.logs.emit.levels import AUDIT, SUCCESS, TRACE

LEVELS: Mapping[str, int] = {
    **logging.getLevelNamesMapping(),
    "TRACE": TRACE,
    "AUDIT": AUDIT,
    "SUCCESS": SUCCESS,
}


class LoggingConfError(Exception):
    """A logging.conf with which a service would not start; `problems` in the order of the file's parts."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Logger:
    """A `[logger_...]` section; `threshold` is the level below which no handler of its own shows anything."""

    qualname: str
    level: int
    threshold: int


def read_logging_conf(path: Path) -> tuple[Logger, ...]:
    """The loggers in `path`, in its order; LoggingConfError, OSError, or ValueError when it is not UTF-8."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=path.name)
        problems = tuple(_problems(parser))
        if problems:
            raise LoggingConfError(problems)
        return tuple(_logger(parser, f"logger_{key}") for key in _keys(parser, "loggers"))
    except configparser.Error as exc:
        raise LoggingConfError((str(exc).replace("\n", " "),)) from exc


def _problems(parser: configparser.ConfigParser) -> Iterator[str]:
    lists = {kind: _keys(parser, kind) for kind in ("loggers", "handlers", "formatters")}
    for kind, keys in lists.items():
        if not parser.has_option(kind, "keys"):
            yield f"[{kind}] with its keys is missing"
        for key in keys:
            if not parser.has_section(f"{kind.removesuffix('s')}_{key}"):
                yield f"[{kind}] lists {key}, and [{kind.removesuffix('s')}_{key}] is missing"
    if "root" not in lists["loggers"]:
        yield "[loggers] does not list root"
    for section in parser.sections():
        kind, _, key = section.partition("_")
        if key not in lists.get(f"{kind}s", ()):
            continue  # fileConfig does not read it either
        options = parser[section]
        if kind == "logger":
            yield from _logger_problems(options, key, lists["handlers"])
        elif kind == "handler":
            yield from _handler_problems(options, lists["formatters"])
        else:
            yield from _class_problems(options, logging.Formatter, optional=True)


def _logger_problems(options: configparser.SectionProxy, key: str, handlers: tuple[str, ...]) -> Iterator[str]:
    yield from _level_problems(options)
    if "handlers" not in options:
        yield f"[{options.name}] names no handlers"
    if key != "root" and "qualname" not in options:
        yield f"[{options.name}] has no qualname"
    if options.get("propagate", "1") not in ("0", "1"):
        yield f"[{options.name}] propagate = {options['propagate']} is neither 0 nor 1"
    for name in _split(options.get("handlers", "")):
        if name not in handlers:
            yield f"[{options.name}] names handler {name}, which [handlers] does not list"


def _handler_problems(options: configparser.SectionProxy, formatters: tuple[str, ...]) -> Iterator[str]:
    yield from _level_problems(options)
    yield from _class_problems(options, logging.Handler, optional=False)
    formatter = options.get("formatter", "")
    if formatter and formatter not in formatters:
        yield f"[{options.name}] names formatter {formatter}, which [formatters] does not list"
    try:
        args, kwargs = _literal(options.get("args", "()")), _literal(options.get("kwargs", "{}"))
        if not isinstance(args, tuple | list) or not isinstance(kwargs, dict):
            yield f"[{options.name}] args is not a tuple (one value needs a comma after it) or kwargs is not a mapping"
            return
    except ValueError as exc:
        yield f"[{options.name}] {exc}"
        return
    try:
        inspect.signature(_class(options.get("class", ""))).bind(*args, **kwargs)
    except TypeError as exc:
        yield f"[{options.name}] args and kwargs do not fit {options.get('class')}: {exc}"
    except ValueError:  # a class that cannot be imported was named above; one without a signature takes what it likes
        return


def _level_problems(options: configparser.SectionProxy) -> Iterator[str]:
    if "level" in options and options["level"] not in LEVELS:
        yield f"[{options.name}] level = {options['level']} is not one of {', '.join(LEVELS)}"


def _class_problems(options: configparser.SectionProxy, kind: type, *, optional: bool) -> Iterator[str]:
    if "class" not in options:
        if not optional:
            yield f"[{options.name}] has no class"
        return
    try:
        found = _class(options["class"])
    except ValueError as exc:
        yield f"[{options.name}] {exc}"
        return
    if not issubclass(found, kind):
        yield f"[{options.name}] class = {options['class']} is not a logging.{kind.__name__}"


def _class(name: str) -> type:
    """What fileConfig would find: a name in Python's logging, else one to import. ValueError when there is none."""
    head, *rest = name.split(".")
    found: object = vars(logging).get(head)
    try:
        if found is None:
            found = importlib.import_module(head)
            for depth, part in enumerate(rest, start=2):
                if not hasattr(found, part):
                    importlib.import_module(".".join((head, *rest)[:depth]))
                found = getattr(found, part)
        else:
            for part in rest:
                found = getattr(found, part)
    except Exception as exc:
        raise ValueError(f"class = {name} cannot be imported: {exc}") from exc
    if not isinstance(found, type):
        raise ValueError(f"class = {name} is not a class")
    return found


def _literal(text: str) -> object:
    """The value of a Python literal in which names of Python's logging may stand; ValueError for what must be run."""
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, RecursionError) as exc:
        raise ValueError(f"{text!r} is not a literal: {exc}") from exc


def _value(node: ast.expr) -> object:
    match node:
        case ast.Tuple(elts=items):
            return tuple(map(_value, items))
        case ast.List(elts=items):
            return list(map(_value, items))
        case ast.Dict(keys=keys, values=values):
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
        # The namespace in which fileConfig evaluates: sys.stdout, handlers.SysLogHandler.LOG_LOCAL0.
        case ast.Name(id=name) if name in vars(logging):
            return vars(logging)[name]
        case ast.Attribute(value=of, attr=name) if not name.startswith("_"):
            owner = _value(of)
            if not hasattr(owner, name):
                raise ValueError(f"there is no {ast.unparse(node)}")
            return getattr(owner, name)
    return ast.literal_eval(node)


def _logger(parser: configparser.ConfigParser, section: str) -> Logger:
    options = parser[section]
    level = LEVELS[options.get("level", "NOTSET")]
    handlers = [parser[f"handler_{name}"].get("level", "NOTSET") for name in _split(options["handlers"])]
    threshold = max(level, min((LEVELS[name] for name in handlers), default=logging.NOTSET))
    return Logger(options.get("qualname", "root"), level, threshold)


def _keys(parser: configparser.ConfigParser, section: str) -> tuple[str, ...]:
    return _split(parser.get(section, "keys", fallback=""))


def _split(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
