"""A compute host that could open the database is named, file by file."""

from pathlib import Path

import pytest

from cloud.logs.generator.check_database import check_database
from cloud.logs.generator.inventory import Inventory
from cloud.logs.generator.render import render_host, write_tree
from cloud.logs.generator.tree import host_trees

SECTION = "\n[database]\nconnection = postgresql://nova:secret@10.0.0.6/nova\n"
MESSAGE = (
    "[database] connection on a host with nova-compute, which asks nova-conductor instead; "
    "remove it, or whoever takes the host over has it"
)


def findings(directory: Path) -> list[tuple[str, str, str, str]]:
    return [
        (found.host, str(found.path.relative_to(directory)), found.severity, found.message)
        for tree in host_trees(directory)
        for found in check_database(tree)
    ]


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Where nova's files of compute-01 are, beside a controller that has the database."""
    inventory = Inventory.model_validate(
        {
            "collector": {"address": "172.20.1.43", "port": 1024},
            "database": "postgresql://nova:secret@10.0.0.6/nova",
            "hosts": {
                "compute-01": {"services": ["nova-compute", "nova-network"]},
                "controller-01": {"services": ["nova-api", "nova-conductor"]},
            },
        }
    )
    for host in inventory.hosts:
        write_tree(render_host(inventory, host), tmp_path / host)
    return tmp_path / "compute-01/etc/nova"


def test_rendered_hosts_have_the_database_where_it_belongs(tmp_path: Path, etc: Path) -> None:
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    "section",
    [
        SECTION,
        "\n[database]\n# connection = none\nmax_retries = 1\nconnection: sqlite:////x\n",
        "\n[DATABASE]\nconnection=x\n",
        "\nno option at all\n[database]\nconnection = x\n",
    ],
)
@pytest.mark.parametrize("name", ["nova.conf", "nova-compute.conf", "nova-network.conf", "x.conf"])
def test_connection_in_any_file_of_a_compute_host_is_an_error(
    tmp_path: Path, etc: Path, name: str, section: str
) -> None:
    with (etc / name).open("a") as file:
        file.write(section)

    assert findings(tmp_path) == [("compute-01", f"compute-01/etc/nova/{name}", "error", MESSAGE)]


@pytest.mark.parametrize(
    "text", ["\n[database]\nmax_retries = 1\n", "\n[other]\nconnection = x\n", "\n[database]\n#connection = x\n"]
)
def test_what_is_no_connection_to_the_database_is_none(tmp_path: Path, etc: Path, text: str) -> None:
    with (etc / "nova.conf").open("a") as file:
        file.write(text)

    assert findings(tmp_path) == []


def test_on_a_host_that_is_the_whole_cloud_the_files_of_those_who_may_are_a_warning(tmp_path: Path, etc: Path) -> None:
    (etc / "nova-conductor.conf").write_text("[DEFAULT]\n" + SECTION)
    assert findings(tmp_path) == [("compute-01", "compute-01/etc/nova/nova-conductor.conf", "warning", MESSAGE)]
