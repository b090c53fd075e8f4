"""A directory of hosts' files -> findings: what rsyslogd, Python's logging and explain would make of them."""

from collections.abc import Iterator
from pathlib import Path

from cloud.logs.generator.check_database import check_database
from cloud.logs.generator.check_forward import check_forward
from cloud.logs.generator.check_levels import check_levels
from cloud.logs.generator.check_plaintext import check_plaintext
from cloud.logs.generator.check_rsyslog import check_rsyslog
from cloud.logs.generator.finding import Finding
from cloud.logs.generator.logging_conf import LoggingConfError, read_logging_conf
from cloud.logs.generator.tree import HostTree, host_trees

__all__ = ["Finding", "HostTree", "check_directory", "check_tree", "host_trees"]


def check_directory(directory: Path) -> list[Finding]:
    """All findings, host by host; empty when all is well. TreeError when there is nothing to check."""
    return [finding for tree in host_trees(directory) for finding in check_tree(tree)]


def check_tree(tree: HostTree) -> list[Finding]:
    """What would not work or must not be, then what would not show. Opens no socket, makes none of the tree's files."""
    return [
        *check_rsyslog(tree),
        *_check_logging_confs(tree),
        *check_database(tree),
        *check_plaintext(tree),
        *check_levels(tree),
        *check_forward(tree),
    ]


def _check_logging_confs(tree: HostTree) -> Iterator[Finding]:
    for path in tree.logging_confs:
        try:
            read_logging_conf(path)
        except LoggingConfError as exc:
            for problem in exc.problems:
                yield Finding(tree.host, path, "error", problem)
        except (OSError, ValueError) as exc:
            yield Finding(tree.host, path, "error", f"cannot read {path.name}: {exc}")
