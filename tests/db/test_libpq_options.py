"""What a connection to PostgreSQL is asked for: the URL's own options, bounds for all waits, and TLS over a network."""

import pytest
from sqlalchemy import make_url

from cloud.db.engine import DEFAULT_LIMITS, libpq_options


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nova@127.0.0.1/nova",
        "postgresql+psycopg://nova@[::1]:5433/nova",
        "postgresql+psycopg://nova@localhost/nova",
        "postgresql+psycopg:///nova",
        "postgresql+psycopg:///nova?host=/run/postgresql",
    ],
)
def test_on_this_machine_tls_is_left_to_libpq(url: str) -> None:
    assert "sslmode" not in libpq_options(make_url(url), DEFAULT_LIMITS)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nova@10.0.0.5/nova",
        "postgresql+psycopg://nova@db.example/nova",
        "postgresql+psycopg:///nova?host=127.0.0.1,db.example",
        "postgresql+psycopg:///nova?host=/run/postgresql&host=10.0.0.5",
    ],
)
def test_over_a_network_the_servers_certificate_and_name_are_checked(url: str) -> None:
    options = libpq_options(make_url(url), DEFAULT_LIMITS)
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "system")


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_a_weaker_mode_can_be_asked_for(mode: str) -> None:
    options = libpq_options(make_url(f"postgresql+psycopg://db.example/nova?sslmode={mode}"), DEFAULT_LIMITS)
    assert options["sslmode"] == mode
    assert "sslrootcert" not in options  # libpq refuses "system" with anything but verify-full


def test_an_address_goes_over_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = libpq_options(make_url("postgresql+psycopg://localhost/nova?hostaddr=10.0.0.1"), DEFAULT_LIMITS)
    assert elsewhere["sslmode"] == "verify-full"
    monkeypatch.setenv("PGHOST", "db.example")
    assert libpq_options(make_url("postgresql+psycopg:///nova"), DEFAULT_LIMITS)["sslmode"] == "verify-full"


def test_the_urls_own_options_win() -> None:
    url = make_url("postgresql+psycopg://db/nova?sslmode=verify-ca&sslrootcert=/ca.pem&connect_timeout=9")
    options = libpq_options(url, DEFAULT_LIMITS)
    assert (options["sslmode"], options["sslrootcert"], options["connect_timeout"]) == ("verify-ca", "/ca.pem", "9")
    assert options["options"] == (
        "-c statement_timeout=30000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
    )
