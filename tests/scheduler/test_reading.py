"""Requests as they come over the bus: those that can be read, and those that cannot."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cloud.services.scheduler.reading import read_request
from tests.scheduler.hosts import request

WHOLE = request(
    of_flavor={"extra_specs": {"ssd": "true"}},
    image_properties={"architecture": "x86_64"},
    availability_zone="nova",
    forced_host="compute-01",
    requested_host="compute-03",
    hints={"same_host": ["a"], "anything": {"at": "all"}},
    ignored_hosts=("compute-02",),
    storage_id="nfs",
)
VALUES = json.loads(json.dumps(WHOLE.as_dict()))
FLAVOR = VALUES["flavor"]


def test_request_arrives_as_it_was_sent() -> None:
    assert read_request(VALUES) == WHOLE


def test_request_for_any_storage_is_one_that_a_scheduler_of_an_earlier_version_reads() -> None:
    wanted = replace(WHOLE, storage_id=None)
    assert wanted.as_dict() == without("storage_id")
    assert read_request(without("storage_id")) == wanted


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in VALUES.items() if key != name}


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({**VALUES, "instance_uuid": 5}, "its instance_uuid is not a text"),
        ({**VALUES, "project_id": None}, "its project_id is not a text"),
        ({**VALUES, "availability_zone": ["nova"]}, "its availability_zone is neither a text nor null"),
        ({**VALUES, "forced_host": 1}, "its forced_host is neither a text nor null"),
        ({**VALUES, "requested_host": ["a"]}, "its requested_host is neither a text nor null"),
        ({**VALUES, "storage_id": 5}, "its storage_id is neither a text nor null"),
        ({**VALUES, "hints": ["same_host"]}, "its hints is not a mapping"),
        ({**VALUES, "hints": None}, "its hints is not a mapping"),
        ({**VALUES, "image_properties": {"architecture": 64}}, "its image_properties is not a mapping of texts"),
        ({**VALUES, "ignored_hosts": "abc"}, "its ignored_hosts is not a list"),
        ({**VALUES, "ignored_hosts": [1]}, "its ignored_hosts is not a list of texts"),
        (
            {**VALUES, "flavor": {**FLAVOR, "memory_mb": "512"}},
            "its flavor's memory_mb is not a number from 0 to 2147483647",
        ),
        ({**VALUES, "flavor": {**FLAVOR, "vcpus": True}}, "its flavor's vcpus is not a number from 0 to 2147483647"),
        ({**VALUES, "flavor": {**FLAVOR, "root_gb": -1}}, "its flavor's root_gb is not a number from 0 to 2147483647"),
        (
            {**VALUES, "flavor": {**FLAVOR, "ephemeral_gb": 2**31}},
            "its flavor's ephemeral_gb is not a number from 0 to 2147483647",
        ),
        (
            {**VALUES, "flavor": {**FLAVOR, "extra_specs": {"a": 1}}},
            "its flavor's extra_specs is not a mapping of texts",
        ),
    ],
)
def test_value_of_another_type_is_named(values: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=f"^{cause}$"):
        read_request(values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {**VALUES, "unknown": 1},
        without("instance_uuid"),
        without("flavor"),
        without("ignored_hosts"),
        {**VALUES, "flavor": {}},
        {**VALUES, "flavor": None},
        {**VALUES, "flavor": "m1.tiny"},
        {**VALUES, "ignored_hosts": None},
        [],
        "request",
        None,
    ],
)
def test_what_is_no_request_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"^its fields are not those of a request: "):
        read_request(values)
