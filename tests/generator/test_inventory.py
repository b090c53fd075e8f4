"""What an inventory may say, what follows from it, and what is refused by its dotted key."""

import traceback
from pathlib import Path

import pytest

from cloud.logs.generator.inventory import HostService, Inventory, InventoryError, load_inventory

COLLECTOR = "collector: {address: 172.20.1.43, port: 1024}\n"
ONE_HOST = COLLECTOR + "hosts:\n  compute-01:\n    services: [nova-compute]\n"


def load(directory: Path, text: str) -> Inventory:
    path = directory / "inv.yaml"
    path.write_text(text)
    return load_inventory(path)


def refusal(directory: Path, text: str) -> str:
    with pytest.raises(InventoryError) as caught:
        load(directory, text)
    return str(caught.value).replace(str(directory / "inv.yaml"), "inv.yaml")


def test_defaults_are_those_of_a_host_of_its_own(tmp_path: Path) -> None:
    host = load(tmp_path, ONE_HOST).host("compute-01")

    assert host.services == (HostService("nova-compute", "local1", "INFO"),)
    assert host.syslog_address == "unix:/run/nova/log.sock"
    assert (host.profile, host.nova_severity, host.system_severity) == ("default", 6, 4)
    assert [str(path) for path in (host.paths.etc, host.paths.rsyslog_d, host.paths.log, host.paths.spool)] == [
        "/etc/nova",
        "/etc/rsyslog.d",
        "/var/log/nova",
        "/var/spool/rsyslog",
    ]
    assert str(host.paths.state) == "/var/lib/nova"


def test_host_wins_over_inventory_and_inventory_over_defaults(tmp_path: Path) -> None:
    text = """
profile: guide
log_level: WARNING
facilities: {volume: local7}
paths: {log: /srv/log}
nova_options: {debug: true, cpu_allocation_ratio: 16.0, my_ip: 10.0.0.1}
collector: {address: "fd00::1", port: 514, tcp_port: 1024}
hosts:
  compute-01:
    services: [nova-compute, volume]
    log_level: {volume: DEBUG}
    profile: default
    syslog: collector
    paths: {root: /srv/c1, state: /srv/state/}
    nova_options: {my_ip: 10.0.0.2}
"""
    host = load(tmp_path, text).host("compute-01")

    assert host.services == (HostService("nova-compute", "local1", "WARNING"), HostService("volume", "local7", "DEBUG"))
    assert host.nova_options == {"debug": "True", "cpu_allocation_ratio": "16.0", "my_ip": "10.0.0.2"}
    assert host.syslog_address == "tcp://[fd00::1]:1024"
    assert (host.profile, host.nova_severity) == ("default", 6)
    assert [str(path) for path in (host.paths.etc, host.paths.log, host.paths.state, host.paths.syslog)] == [
        "/srv/c1/etc/nova",
        "/srv/log",
        "/srv/state",
        "/srv/syslog",
    ]


def test_guide_profile_forwards_errors_whatever_the_thresholds(tmp_path: Path) -> None:
    host = load(tmp_path, ONE_HOST + "profile: guide\nthresholds: {nova: debug}\n").host("compute-01")

    assert (host.nova_severity, host.system_severity) == (3, 3)


def test_example_inventory_loads() -> None:
    path = Path(__file__).parents[2] / "logging/generator/example-inventory.yaml"

    assert list(load_inventory(path).hosts) == ["controller-01", "compute-01", "compute-02", "volume-01", "compute-03"]


HOST = "    services: [nova-compute]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hosts: {}\n", "collector: is missing"),
        (ONE_HOST + "colector: 1\n", "colector: unknown key"),
        (ONE_HOST + "    path: {}\n", "hosts.compute-01.path: unknown key"),
        (COLLECTOR + "hosts: {compute-01: {services: [nova-cells]}}", "hosts.compute-01.services.0: unknown service"),
        (
            COLLECTOR + "hosts: {compute-01: {services: [image, image]}}",
            "hosts.compute-01.services: image is listed more than once",
        ),
        (ONE_HOST + "facilities: {nova-compute: local8}", "facilities.nova-compute: unknown facility 'local8'"),
        (ONE_HOST + "facilities: {nova-cells: local1}", "facilities.nova-cells: unknown service 'nova-cells'"),
        (ONE_HOST + "log_level: LOUD", "log_level.nova-api: unknown level 'LOUD'"),
        (ONE_HOST + "thresholds: {nova: loud}", "thresholds.nova: cannot use severity 'loud'"),
        (ONE_HOST + "thresholds: {nova: 6}", "thresholds.nova: 6 is not the name of a severity"),
        (ONE_HOST + "    base_rsyslog: true\n    syslog: collector", "base_rsyslog needs syslog: rsyslog"),
        (COLLECTOR.replace("1024", "0") + "hosts: {}", "collector.port: Input should be greater than or equal to 1"),
        (COLLECTOR.replace("1024", "65536") + "hosts: {}", "collector.port: Input should be less than or equal to"),
        (COLLECTOR.replace("172.20.1.43", "10.0.0.256") + "hosts: {}", "collector.address: '10.0.0.256' is neither"),
        (COLLECTOR.replace("172.20.1.43", '"fe80::1%eth0"') + "hosts: {}", "collector.address: 'fe80::1%eth0' is"),
        (COLLECTOR.replace("172.20.1.43", '"a\\" b"') + "hosts: {}", "collector.address: 'a\" b' is not a host name"),
    ],
)
def test_wrong_value_is_refused_by_its_dotted_key(tmp_path: Path, text: str, message: str) -> None:
    problem = refusal(tmp_path, text)
    assert problem.startswith("cannot use inventory inv.yaml: ")
    assert message in problem


@pytest.mark.parametrize(
    "name", ["compute_01", "-a", "a-", "a..b", "..", "a/b", "é", "a" * 64, '"a\\nb"', '"a\\n"', "a%b"]
)
def test_bad_host_name_is_refused(tmp_path: Path, name: str) -> None:
    assert "is not a host name" in refusal(tmp_path, f"{COLLECTOR}hosts:\n  {name}:\n{HOST}")


@pytest.mark.parametrize(
    "path",
    [
        *("run", "/run/no va", '/run/"x', "/run/'x", "/run/\\\\x", "/run/%h"),
        *("/run/$x", "/run/../x", "/run/x\\n", "/run/*", ""),
    ],
)
def test_path_that_would_break_out_of_its_place_is_refused(tmp_path: Path, path: str) -> None:
    quoted = path.replace('"', '\\"')
    message = refusal(tmp_path, f'{ONE_HOST}    paths: {{run: "{quoted}"}}\n')

    assert message.startswith("cannot use inventory inv.yaml: hosts.compute-01.paths.run: ")


def test_socket_path_has_at_most_107_bytes(tmp_path: Path) -> None:
    longest = "/" + "r" * (107 - len("//log.sock"))
    assert len(str(load(tmp_path, f"{ONE_HOST}    paths: {{run: {longest}}}").host("compute-01").paths.socket)) == 107

    message = refusal(tmp_path, f"{ONE_HOST}    paths: {{run: {longest}r}}")
    assert message.startswith("cannot use inventory inv.yaml: hosts.compute-01.paths.run: socket /rrr")
    assert "108 bytes" in message


def test_hosts_dev_log_is_beside_its_socket(tmp_path: Path) -> None:
    host = load(tmp_path, f"{ONE_HOST}    paths: {{root: /srv/c1}}").host("compute-01")

    assert str(host.paths.dev_log) == "/srv/c1/run/nova/dev-log"
    assert str(host.paths.libvirt_log) == "/srv/c1/var/log/libvirt"


def test_etc_outside_root_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, f"{ONE_HOST}    paths: {{root: /srv/c1, etc: /etc/nova}}")

    assert message == (
        "cannot use inventory inv.yaml: hosts.compute-01.paths.etc: "
        "/etc/nova is not below root /srv/c1, so the tree has no place for it"
    )


def test_two_hosts_of_one_machine_need_directories_of_their_own(tmp_path: Path) -> None:
    entry = "{services: [], base_rsyslog: true, paths: {root: /srv/c1}}"

    message = refusal(tmp_path, f"{COLLECTOR}hosts:\n  a: {entry}\n  b: {entry}\n")
    assert message == "cannot use inventory inv.yaml: hosts.b.paths.run: /srv/c1/run/nova belongs to a"


@pytest.mark.parametrize(
    ("option", "cause"),
    [
        ("host: other", "host cannot be given"),
        ("log_config: /x", "log_config cannot be given"),
        ("transport_url: x", "transport_url cannot be given: it is the key transport_url"),
        ("connection: x", "connection cannot be given: it is the key database"),
        ("sql_connection: x", "sql_connection cannot be given: it is the key database"),
        ('"a b": 1', "'a b' is not the name of an option"),
        ('"a]\\n[b": 1', "is not the name of an option"),
        ('key: "a\\nb"', "holds a line break"),
        ('key: "a\\u0085b"', "holds a line break"),
        ('key: "a\\0b"', "holds a line break"),
        ("key: null", "a NoneType is neither text nor a number"),
        ("key: [1]", "a list is neither text nor a number"),
    ],
)
def test_option_that_would_break_nova_conf_is_refused(tmp_path: Path, option: str, cause: str) -> None:
    for text in (f"{ONE_HOST}nova_options: {{{option}}}", f"{ONE_HOST}    nova_options: {{{option}}}"):
        message = refusal(tmp_path, text)
        assert "nova_options." in message
        assert cause in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE_HOST + "  compute-01:\n" + HOST, "cannot read inventory inv.yaml, line 5: duplicate key 'compute-01'"),
        (ONE_HOST + "profile: [\n", "cannot read inventory inv.yaml, line 6: "),
        (ONE_HOST + "profile: \x01\n", "cannot read inventory inv.yaml, line 5: special characters are not allowed"),
        (ONE_HOST + "profile: !!python/name:os.system\n", "cannot read inventory inv.yaml, line 5: could not"),
        ("a: 2024-13-41\n", "cannot read inventory inv.yaml, line 1: cannot be read: month must be in 1..12"),
        ("[" * 5000, "cannot read inventory inv.yaml, line 1: cannot be read: "),
        ("", "cannot use inventory inv.yaml: Input should be a valid dictionary or instance of Inventory"),
    ],
)
def test_what_is_no_yaml_is_refused_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text).startswith(message)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"cannot read inventory .*absent.yaml: "):
        load_inventory(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(InventoryError, match=r"cannot read inventory .*latin.yaml: 'utf-8' codec"):
        load_inventory(tmp_path / "latin.yaml")


def test_unknown_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot find host compute-09: the inventory has compute-01"):
        load(tmp_path, ONE_HOST).host("compute-09")


def test_host_has_the_inventorys_bus_and_database_unless_it_has_its_own(tmp_path: Path) -> None:
    text = """
transport_url: amqp://nova:secret@10.0.0.5:5672/nova
database: postgresql://nova:secret@10.0.0.5/nova
hosts:
  controller-01: {services: [nova-api]}
  compute-01:
    services: [nova-compute]
    transport_url: redis+socket:///run/nova/redis.sock
    database: sqlite:////var/lib/nova/nova.sqlite
"""
    inventory = load(tmp_path, COLLECTOR + text)

    hosts = [inventory.host(name) for name in ("controller-01", "compute-01")]
    assert [(host.transport_url, host.database) for host in hosts] == [
        ("amqp://nova:secret@10.0.0.5:5672/nova", "postgresql://nova:secret@10.0.0.5/nova"),
        ("redis+socket:///run/nova/redis.sock", "sqlite:////var/lib/nova/nova.sqlite"),
    ]
    assert not any("secret" in repr(shown) for shown in (inventory, inventory.hosts["controller-01"], *hosts))


@pytest.mark.parametrize(
    "url",
    [
        *("amqp://u:p@h:5672/v", "amqps://u:p@h", "redis://:p@h:6379/0", "rediss://h", "redis+socket:///run/r.sock"),
        *("amqp://u:p%40$x!'()*+,;=@[::1]:5672/%2F?heartbeat=10#x", "amqp://u:p@h1:5672,u:p@h2:5672/v"),
    ],
)
def test_url_of_a_bus_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f'{ONE_HOST}transport_url: "{url}"').transport_url == url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/nova/nova.sqlite",
        "postgresql://u:p@h/d",
        "postgresql+psycopg://u:p@h:5433/d?sslmode=require",
    ],
)
def test_url_of_a_database_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f'{ONE_HOST}database: "{url}"').database == url


@pytest.mark.parametrize("key", ["transport_url", "database"])
@pytest.mark.parametrize(
    "value",
    [
        *('"kafka://nova:hunter2@h"', '"AMQP://nova:hunter2@h"', '"nova:hunter2@h"', '"//nova:hunter2@h"', '"amqp://"'),
        *('"amqp://nova:hunter2@h/a b"', '"sqlite:///a\\nb?password=hunter2"', '"amqp://nova:hunter2@h\\0"', '""'),
        *('"postgresql://nova:hunter2@h/\\u00e9"', '"postgresql://nova:hunter2\\"@h/d"', '" amqp://nova:hunter2@h"'),
        *('{"amqp://nova:hunter2@h": 1}', '["amqp://nova:hunter2@h"]', "5"),
    ],
)
def test_bad_url_is_refused_and_its_password_not_shown(tmp_path: Path, key: str, value: str) -> None:
    for text, where in (
        (f"{ONE_HOST}{key}: {value}", key),
        (f"{ONE_HOST}    {key}: {value}", f"hosts.compute-01.{key}"),
    ):
        with pytest.raises(InventoryError) as caught:
            load(tmp_path, text)
        assert f": {where}: is not a URL" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "text",
    [
        "nova_options: {transport_url: 'amqp://nova:hunter2@h'}",
        'nova_options: {rabbit_url: "amqp://nova:hunter2@h\\n"}',
        "nova_options: {rabbit_urls: ['amqp://nova:hunter2@h']}",
        "nova_options: {'transport_url amqp://nova:hunter2@h': 1}",
        "transport_ulr: amqp://nova:hunter2@h",
        "transport_url amqp://nova:hunter2@h: 1",
    ],
)
def test_password_in_the_wrong_place_is_not_shown_either(tmp_path: Path, text: str) -> None:
    with pytest.raises(InventoryError) as caught:
        load(tmp_path, ONE_HOST + text)
    assert "hunter2" not in str(caught.value)
