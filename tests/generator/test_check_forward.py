"""What of a forward is slow, and what it may lose, is said."""

from pathlib import Path

import pytest

from cloud.logs.generator.check_forward import check_forward
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from cloud.logs.generator.tree import host_trees

IN_MEMORY = (
    "note",
    (
        "kill -9 of rsyslogd and power cuts lose the lines that wait for the collector; "
        "durable_queue: true keeps them, at a few thousand lines/s, and nova.log has them either way"
    ),
)
WITHOUT_ANSWER = (
    "note",
    (
        "plain syslog has no acknowledgement: what is under way when the collector ends or the connection breaks "
        "is lost, and only its numbers tell; collector.protocol: relp sends it again"
    ),
)


def findings(directory: Path) -> list[tuple[str, str]]:
    (tree,) = host_trees(directory)
    found = list(check_forward(tree))
    assert {(item.host, item.path.name) for item in found} <= {("c1", "60-nova.conf")}
    return [(item.severity, item.message) for item in found]


def write(directory: Path, *, durable: bool = True, syslog: str = "rsyslog", **collector: object) -> Path:
    where = {"address": "127.0.0.1", "port": 514, **collector}
    hosts = {"c1": {"services": ["nova-api"], "durable_queue": durable, "syslog": syslog}}
    write_tree(render_host(Inventory.model_validate({"collector": where, "hosts": hosts}), "c1"), directory)
    return directory / "etc/rsyslog.d/60-nova.conf"


def test_durable_relp_with_the_usual_window_has_nothing_against_it(tmp_path: Path) -> None:
    write(tmp_path)

    assert findings(tmp_path) == []


@pytest.mark.parametrize(("window", "rate"), [(128, 512), (999, 3996)])
def test_small_window_is_named_with_the_rate_it_allows(tmp_path: Path, window: int, rate: int) -> None:
    write(tmp_path, relp_window=window)

    message = f"windowSize {window} lets pass {rate} lines/s while the collector answers every 250 ms"
    assert findings(tmp_path) == [("warning", f"{message}; set collector.relp_window to 1000 or more")]

    write(tmp_path, relp_window=1000)
    assert findings(tmp_path) == []


def test_window_that_is_not_given_is_rsyslogs_own(tmp_path: Path) -> None:
    fragment = write(tmp_path)
    fragment.write_text(fragment.read_text().replace('windowSize="2000" ', ""))

    ((severity, message),) = findings(tmp_path)
    assert severity == "warning"
    assert message.startswith("windowSize 128 lets pass 512 lines/s")


def test_queue_in_memory_says_what_it_loses(tmp_path: Path) -> None:
    write(tmp_path, durable=False)

    assert findings(tmp_path) == [IN_MEMORY]


def test_plain_tcp_says_what_it_loses(tmp_path: Path) -> None:
    write(tmp_path, protocol="tcp")
    assert findings(tmp_path) == [WITHOUT_ANSWER]

    write(tmp_path, protocol="tcp", durable=False)
    assert findings(tmp_path) == [WITHOUT_ANSWER, IN_MEMORY]


def test_relp_without_a_mark_is_named(tmp_path: Path) -> None:
    fragment = write(tmp_path)
    fragment.write_text(fragment.read_text().replace('module(load="immark"', '#module(load="immark"'))

    assert findings(tmp_path) == [
        (
            "warning",
            (
                "has no immark, and omrelp notices a broken session only when it next sends; "
                'load it with ruleset="nova", or the last lines before a silence stay unsent as long as it lasts'
            ),
        )
    ]


def test_forward_of_the_guide_has_no_queue(tmp_path: Path) -> None:
    fragment = write(tmp_path)
    fragment.write_text("*.error @@127.0.0.1:1024\n")

    assert findings(tmp_path) == [
        WITHOUT_ANSWER,
        (
            "note",
            (
                "what comes while the collector is away is lost, for the forward has no queue; "
                "durable_queue: true keeps them, at a few thousand lines/s, and nova.log has them either way"
            ),
        ),
    ]


def test_host_without_rsyslog_has_no_forward(tmp_path: Path) -> None:
    write(tmp_path, syslog="collector", tcp_port=1024)

    assert findings(tmp_path) == []
