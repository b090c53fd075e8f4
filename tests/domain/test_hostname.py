"""Display names -> what an instance's own system may call itself."""

import pytest

from cloud.domain.hostname import hostname_of

UUID = "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("display_name", "hostname"),
    [
        ("web-1", "web-1"),
        ("Web 1", "web-1"),
        ("my_db.example.org", "my-db.example.org"),
        ("-.Grüße!.-", "gre"),
        ("x" * 80, "x" * 63),
        ("-" + "x" * 80, "x" * 63),
        ("x" * 62 + "-y", "x" * 62),
        ("日本", f"Server-{UUID}"),
        ("", f"Server-{UUID}"),
        ("...", f"Server-{UUID}"),
    ],
)
def test_hostname_is_fit_for_dns(display_name: str, hostname: str) -> None:
    assert hostname_of(display_name, UUID) == hostname
