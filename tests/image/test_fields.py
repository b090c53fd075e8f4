"""read_fields: what a client says of an image, and what it cannot say."""

from typing import Any

import pytest

from cloud.errors import BadRequestError, CloudError, ForbiddenError, QuotaError
from cloud.services.image.change import Change
from cloud.services.image.fields import check_tag, read_fields
from tests.image.sample import ID, image


def test_every_field_is_read_and_what_is_no_field_is_a_property() -> None:
    change, image_id = read_fields(
        {
            "id": ID.upper(),
            "name": "cirros ü",
            "owner": "project-b",
            "visibility": "public",
            "protected": True,
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk": 2,
            "min_ram": 128,
            "tags": ["b", "a", "b"],
            "os.type": "linux",
        }
    )
    assert image_id == ID
    assert change == Change(
        {
            "name": "cirros ü",
            "owner": "project-b",
            "is_public": True,
            "is_protected": True,
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk_gb": 2,
            "min_ram_mb": 128,
            "tags": ("b", "a"),
        },
        {"os.type": "linux"},
    )


def test_nothing_said_changes_nothing() -> None:
    change, image_id = read_fields({})
    assert image_id is None
    assert change.applied_to(image()) == image()


def test_properties_are_merged_or_purged() -> None:
    assert Change({}, {"a": "b"}).applied_to(image()).properties == {"os": "linux", "a": "b"}
    assert Change({}, {"a": "b"}, purges=True).applied_to(image()).properties == {"a": "b"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"id": "cirros"}, BadRequestError, "invalid value for id: it is not a UUID"),
        ({"id": "../../../etc/passwd"}, BadRequestError, "invalid value for id: it is not a UUID"),
        ({"id": f"{ID}\n"}, BadRequestError, "invalid value for id: it is not a UUID"),
        ({"id": None}, BadRequestError, "invalid value for id"),
        ({"name": 7}, BadRequestError, "invalid value for name: Input should be a valid string"),
        ({"name": "x" * 256}, BadRequestError, "invalid value for name: String should have at most 255"),
        ({"name": "a\r\nSet-Cookie: b"}, BadRequestError, "invalid value for name: it has control characters"),
        ({"name": "\ud800"}, BadRequestError, "invalid value for name"),
        ({"name": "\x85"}, BadRequestError, "invalid value for name"),
        (
            {"visibility": "shared"},
            BadRequestError,
            "invalid value for visibility: Input should be 'public' or 'private'",
        ),
        ({"protected": "true"}, BadRequestError, "invalid value for protected"),
        ({"disk_format": "floppy"}, BadRequestError, "invalid value for disk_format: Input should be 'ami', 'ari'"),
        (
            {"container_format": "bag"},
            BadRequestError,
            "invalid value for container_format: Input should be 'ami', 'ari'",
        ),
        ({"min_disk": -1}, BadRequestError, "invalid value for min_disk: Input should be greater than or equal to 0"),
        ({"min_ram": 2**31}, BadRequestError, "invalid value for min_ram"),
        ({"min_ram": 1.5}, BadRequestError, "invalid value for min_ram"),
        ({"min_ram": True}, BadRequestError, "invalid value for min_ram"),
        ({"min_ram": float("nan")}, BadRequestError, "invalid value for min_ram"),
        ({"tags": "a"}, BadRequestError, "invalid value for tags"),
        ({"tags": [1]}, BadRequestError, "invalid value for tags.0"),
        ({"tags": ["\x00"]}, BadRequestError, "invalid value for tags.0"),
        ({"os": 7}, BadRequestError, "invalid value for os: a property is a string"),
        ({"os": None}, BadRequestError, "invalid value for os: a property is a string"),
        ({"os": "\x00"}, BadRequestError, "invalid value for os: at most 4096 characters"),
        ({"os": "\udfff"}, BadRequestError, "invalid value for os: at most 4096 characters"),
        ({"os": "x" * 4097}, BadRequestError, "invalid value for os: at most 4096 characters"),
        ({"": "x"}, BadRequestError, "a property's name is 1 to 255 characters"),
        ({"a\r\nb": "x"}, BadRequestError, "a property's name is 1 to 255 characters"),
        ({"\ud800": "x"}, BadRequestError, "a property's name is 1 to 255 characters"),
        ({"x" * 256: "x"}, BadRequestError, "a property's name is 1 to 255 characters"),
        ({"status": "active"}, ForbiddenError, "cannot set status: it is read-only"),
        ({"checksum": "x"}, ForbiddenError, "cannot set checksum: it is read-only"),
        ({"locations": []}, ForbiddenError, "cannot set locations: the name is reserved"),
    ],
)
def test_what_cannot_be_said(given: dict[str, Any], error: type[CloudError], message: str) -> None:
    with pytest.raises(error) as raised:
        read_fields(given)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    "change",
    [
        Change({}, {f"p{number}": "x" for number in range(64)}),
        Change({}, {f"p{number}": "x" * 4096 for number in range(5)}),
        Change({"tags": tuple(map(str, range(65)))}),
    ],
)
def test_an_image_has_so_many_properties_and_tags(change: Change) -> None:
    with pytest.raises(QuotaError):
        change.applied_to(image())


@pytest.mark.parametrize("tag", ["", "a\n", "x" * 256, "\ud800"])
def test_what_is_no_tag(tag: str) -> None:
    with pytest.raises(BadRequestError):
        check_tag(tag)
