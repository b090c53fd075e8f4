"""The network in nova.conf: what is a network with room for instances, and what is not."""

from pathlib import Path

import pytest

from cloud.services.configuration import ConfigurationError, read_configuration
from cloud.services.network.options import NETWORK_OPTIONS


def read(path: Path, lines: str) -> tuple[str, str]:
    file = path / "nova.conf"
    file.write_text(f"[DEFAULT]\n{lines}\n")
    conf = read_configuration([file], host="compute-01", groups={"DEFAULT": NETWORK_OPTIONS})
    return conf.fixed_range, conf.network_label


def test_where_nobody_says_it_is_private(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ("10.0.0.0/16", "private")


@pytest.mark.parametrize("cidr", ["192.168.7.0/24", "10.0.0.0/30", "172.16.0.0/12"])
def test_any_network_of_ipv4_will_do(tmp_path: Path, cidr: str) -> None:
    assert read(tmp_path, f"fixed_range = {cidr}\nnetwork_label = office") == (cidr, "office")


@pytest.mark.parametrize("cidr", ["", "10.0.0.0/31", "10.0.0.1", "10.0.0.1/24", "fd00::/64", "10.0.0/24", "everywhere"])
def test_what_is_none_or_has_no_room_stops_the_service(tmp_path: Path, cidr: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^cannot use option fixed_range of .*nova\.conf: "):
        read(tmp_path, f"fixed_range = {cidr}")


@pytest.mark.parametrize("label", ["x" * 256, "a\x1b[31m"])
def test_a_label_is_what_a_line_of_the_log_holds(tmp_path: Path, label: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^cannot use option network_label of .*nova\.conf: "):
        read(tmp_path, f"network_label = {label}")
