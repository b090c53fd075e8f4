"""What of a fragment's text sends lines elsewhere."""

import pytest

from cloud.logs.generator.forwards import Forward, forwards_in


@pytest.mark.parametrize(
    ("text", "module", "target", "has_tls", "queue_type"),
    [
        ('action(type="omrelp" target="10.0.0.5" port="514")', "omrelp", "10.0.0.5", False, "direct"),
        ('action(type="omrelp" Target="h" TLS="on" queue.type="Disk")', "omrelp", "h", True, "disk"),
        ('action( type = "omfwd"\n  target = "h" protocol="tcp")', "omfwd", "h", False, "direct"),
        (
            'action(type="omfwd" target="h" StreamDriverMode="1" queue.type="LinkedList")',
            "omfwd",
            "h",
            True,
            "linkedlist",
        ),
        ('action(type="omfwd" target="h" template="a) b" queue.type="Disk")', "omfwd", "h", False, "disk"),
        ('action(type="omfwd" name="a \\" b)" target="h")', "omfwd", "h", False, "direct"),
        ("*.error @@172.20.1.43:1024", "omfwd", "172.20.1.43", False, "direct"),
        ("*.* @logs.example.org", "omfwd", "logs.example.org", False, "direct"),
        ("local0.*;kern.none @@(o)[fd00::1]:1024;format", "omfwd", "fd00::1", False, "direct"),
    ],
)
def test_action_that_sends_is_found(text: str, module: str, target: str, has_tls: bool, queue_type: str) -> None:
    (forward,) = forwards_in(text)

    assert (forward.module, forward.target, forward.has_tls, forward.queue_type) == (
        module,
        target,
        has_tls,
        queue_type,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        '# action(type="omfwd" target="h")',
        "#*.* @@h:1024",
        'action(type="omfile" file="/x")',
        'action(name="x")',
        'action(type="omfwd" target="h"',
        "*.* /var/log/mail@@h",
        "$ActionQueueFileName @@h",
    ],
)
def test_what_sends_nothing_is_none(text: str) -> None:
    assert list(forwards_in(text)) == []


def test_several_keep_their_order_and_the_guides_lines_come_last() -> None:
    text = '*.* @@b:1\nif $msg == "x" then { action(type="omfwd" target="a") }\naction(type="omrelp" target="c")'

    assert list(forwards_in(text)) == [
        Forward("omfwd", {"type": "omfwd", "target": "a"}),
        Forward("omrelp", {"type": "omrelp", "target": "c"}),
        Forward("omfwd", {"target": "b"}),
    ]
