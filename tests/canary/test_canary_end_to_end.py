"""`cloud log canary` on a host with rendered files and a real rsyslogd, and a real collector; then without one of them."""

import json
import signal
import time

import httpx
import pytest

from tests.canary.site import HOST, SERVICES, Site
from tests.rsyslog import RsyslogHost

pytestmark = pytest.mark.server


def test_all_facilities_pass_through_rsyslogd_and_bear_what_tells_them_apart(site: Site, host: RsyslogHost) -> None:
    site.render()
    site.start_collector()
    host.start(site.tree)
    done = site.canary("--facility", "all", "--output", "json", "--count", "3")
    assert (done.returncode, done.stderr) == (0, "")
    *lines, outcome = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["facility"], each["sent"], each["arrived"], each["missing"]) for each in outcome["summary"]] == [
        (f"local{number}", 3, 3, 0) for number in range(8)
    ]
    assert [len(outcome["summary"][number]["services"]) for number in range(8)] == [1, 1, 2, 1, 1, 1, 0, 0]
    assert len(lines) == 24
    assert outcome["host"] == HOST
    (run,) = outcome["runs"]
    assert (run["state"], run["missing"], run["gaps"]) == ("current", 0, [])

    answer = httpx.get(f"{site.url}/api/v1/rows", params={"service": "canary", "n": 100}, trust_env=False, timeout=10)
    rows = answer.json()
    assert len(rows) == 24
    assert {(row["event"], row["msgid"], row["severity"], row["hostname"]) for row in rows} == {
        ("canary", "canary", "info", HOST)
    }
    assert {row["fields"]["run"] for row in rows} == {outcome["run"]}
    assert all("sequence" in row for row in rows)
    of_services = [
        httpx.get(f"{site.url}/api/v1/rows", params={"service": name}, trust_env=False, timeout=10).json()
        for name in SERVICES
    ]
    assert of_services == [[] for _ in SERVICES]
    wanted = {"host": HOST, "without_event": "canary"}
    others = httpx.get(f"{site.url}/api/v1/rows", params=wanted, trust_env=False, timeout=10).json()
    assert [row for row in others if row["app_name"] == "canary"] == []


def test_the_guides_profile_forwards_canaries_though_they_are_info(site: Site, host: RsyslogHost) -> None:
    site.render(profile="guide")
    site.start_collector()
    host.start(site.tree)
    done = site.canary()
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_threshold_keeps_is_missing(site: Site, host: RsyslogHost) -> None:
    site.render(thresholds={"nova": "warning"})
    site.start_collector()
    host.start(site.tree)
    assert site.canary("--timeout", "1s").returncode == 1
    assert site.canary("--severity", "warning").returncode == 0


def test_services_that_send_to_the_collector_are_measured_too(site: Site) -> None:
    site.render("collector")
    site.start_collector()
    done = site.canary("--count", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "| local1   | nova-compute                   |    2 |       2 |" in done.stdout
    assert done.stdout.endswith("gaps of compute-01: unknown, its lines have no numbers\n")


def test_a_stopped_rsyslogd_is_said_at_once(site: Site, host: RsyslogHost) -> None:
    site.render()
    site.start_collector()
    host.start(site.tree)
    host.kill()  # its socket stays, and nobody listens
    began_s = time.monotonic()
    done = site.canary()
    assert time.monotonic() - began_s < 10
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: cannot reach the host's syslog at unix:{host.socket}: Connection refused\n"


def test_a_stopped_collector_is_said_at_once_and_nothing_is_sent(site: Site, host: RsyslogHost) -> None:
    site.render()
    host.start(site.tree)
    began_s = time.monotonic()
    done = site.canary()
    assert time.monotonic() - began_s < 10
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: cannot reach the collector at {site.url}: ")
    assert not host.nova_log.exists() or "canary" not in host.nova_log.read_text()


def test_what_a_stopped_collector_kept_waiting_is_late_after_its_restart(site: Site, host: RsyslogHost) -> None:
    site.render()
    site.start_collector()
    host.start(site.tree)
    with site.running("--every", "1s", "--timeout", "1s") as running:
        running.until("arrived", 6)
        site.stop_collector()
        missing = running.until("missing", 6)
        assert all(line["is_sent"] for line in missing)
        site.start_collector()
        late = running.until_late(missing)
        assert all(line["latency_ms"] > 1000 for line in late)
        running.until("arrived", 6)
        outcome, err = running.end(signal.SIGINT)
        assert running.process.returncode == 0
    assert all(each["late"] >= 1 and not each["missing"] for each in outcome["summary"])
    assert err.splitlines()[-1] == "cloud log canary: the collector is back"


def test_what_waited_for_rsyslogd_is_not_sent_and_then_late(site: Site, host: RsyslogHost) -> None:
    site.render()
    site.start_collector()
    host.start(site.tree)
    with site.running("--every", "1s", "--timeout", "1s", "--facility", "local1") as running:
        running.until("arrived")
        host.stop()
        (missing,) = running.until("missing")
        assert not missing["is_sent"]
        host.start(site.tree)
        (late,) = running.until_late([missing])
        assert late["latency_ms"] > 1000
        running.until("arrived")
        outcome, err = running.end(signal.SIGTERM)
        assert running.process.returncode == 0
    (share,) = outcome["summary"]
    assert (share["missing"], share["doubled"]) == (0, 0)
    assert share["late"] >= 1
    assert [run["state"] for run in outcome["runs"]] == ["unclosed", "current"]
    assert "canary: cannot reach unix:" in err


def test_the_end_comes_soon_while_rsyslogd_and_collector_are_away(site: Site, host: RsyslogHost) -> None:
    site.render()
    site.start_collector()
    host.start(site.tree)
    with site.running("--every", "60s", "--timeout", "30s") as running:
        running.until("arrived", 6)
        host.stop()
        site.stop_collector()
        began_s = time.monotonic()
        outcome, err = running.end(signal.SIGTERM)
        assert time.monotonic() - began_s < 8
        assert running.process.returncode == 0
    assert outcome["runs"] is None
    assert "cloud log canary: cannot ask the collector at" in err
