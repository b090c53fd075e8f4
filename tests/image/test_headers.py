"""v1's headers, in both directions."""

import re

import pytest

from cloud.errors import BadRequestError, CloudError, ForbiddenError
from cloud.services.image.change import Change
from cloud.services.image.headers import headers_of, read_headers
from cloud.services.image.store import Expected
from tests.image.sample import ID, image


def test_everything_is_read() -> None:
    read = read_headers(
        [
            (b"x-image-meta-id", ID.encode()),
            (b"x-image-meta-name", b"My%20image"),
            (b"X-Image-Meta-Disk-Format", b"qcow2"),
            (b"x-image-meta-container_format", b"bare"),
            (b"x-image-meta-is_public", b"True"),
            (b"x-image-meta-protected", b"no"),
            (b"x-image-meta-min_disk", b"3"),
            (b"x-image-meta-min_ram", b""),
            (b"x-image-meta-owner", b"project-b"),
            (b"x-image-meta-size", b"12"),
            (b"x-image-meta-checksum", b"ABC"),
            (b"x-image-meta-status", b"queued"),
            (b"x-image-meta-store", b"file"),
            (b"x-image-meta-property-OS-Type", b"linux"),
            (b"x-image-meta-property-note", "grün".encode()),
            (b"x-image-meta-property-gr%C3%BCn", b"50%off 100%25"),
            (b"x-glance-registry-purge-props", b"false"),
            (b"user-agent", b"\xff"),
        ]
    )
    assert read.change == Change(
        {
            "name": "My image",
            "disk_format": "qcow2",
            "container_format": "bare",
            "is_public": True,
            "is_protected": False,
            "min_disk_gb": 3,
            "min_ram_mb": 0,
            "owner": "project-b",
        },
        {"os_type": "linux", "note": "grün", "grün": "50%off 100%"},
    )
    assert (read.image_id, read.expected, read.purges) == (ID, Expected(12, "abc"), False)


def test_what_glanceclient_does_not_say_is_not_said() -> None:
    read = read_headers(
        [(b"x-image-meta-is_public", b"None"), (b"x-image-meta-protected", b""), (b"x-image-meta-id", b"")]
    )
    assert (read.change, read.image_id, read.purges) == (Change(), None, True)


@pytest.mark.parametrize(
    ("headers", "formats"),
    [
        ({b"disk_format": b"ami"}, ("ami", "ami")),
        ({b"container_format": b"aki"}, ("aki", "aki")),
        ({b"disk_format": b"ari", b"container_format": b"ari"}, ("ari", "ari")),
    ],
)
def test_both_formats_of_an_amazon_image_are_the_same(headers: dict[bytes, bytes], formats: tuple[str, str]) -> None:
    read = read_headers([(b"x-image-meta-" + name, value) for name, value in headers.items()])
    assert (read.change.attributes["disk_format"], read.change.attributes["container_format"]) == formats


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([(b"x-image-meta-nonesuch", b"x")], BadRequestError),
        ([(b"x-image-meta-", b"x")], BadRequestError),
        ([(b"x-image-meta-disk_format", b"floppy")], BadRequestError),
        ([(b"x-image-meta-disk_format", b"ami"), (b"x-image-meta-container_format", b"bare")], BadRequestError),
        ([(b"x-image-meta-is_public", b"perhaps")], BadRequestError),
        ([(b"x-image-meta-size", b"-1")], BadRequestError),
        ([(b"x-image-meta-size", b"1e3")], BadRequestError),
        ([(b"x-image-meta-size", "²".encode())], BadRequestError),
        ([(b"x-image-meta-size", b"9" * 5000)], BadRequestError),
        ([(b"x-image-meta-min_disk", b"99999999999")], BadRequestError),
        ([(b"x-image-meta-name", b"\xff")], BadRequestError),
        ([(b"x-image-meta-name", b"a%0d%0aSet-Cookie: b")], BadRequestError),
        ([(b"x-image-meta-name", b"%ED%A0%80")], BadRequestError),
        ([(b"x-image-meta-id", b"..")], BadRequestError),
        ([(b"x-image-meta-location", b"file:///etc/shadow")], BadRequestError),
        ([(b"x-image-meta-copy_from", b"http://127.0.0.1/")], BadRequestError),
        ([(b"x-glance-api-copy-from", b"http://127.0.0.1/")], BadRequestError),
        ([(b"x-image-meta-property-", b"x")], BadRequestError),
        ([(b"x-image-meta-property-%0d%0a", b"x")], BadRequestError),
        ([(b"x-image-meta-property-name", b"x")], BadRequestError),
        ([(b"x-image-meta-property-status", b"x")], ForbiddenError),
        ([(b"x-image-meta-property-a", b"%00")], BadRequestError),
        ([(b"x-glance-registry-purge-props", b"perhaps")], BadRequestError),
    ],
)
def test_headers_that_cannot_be(headers: list[tuple[bytes, bytes]], error: type[CloudError]) -> None:
    with pytest.raises(error):
        read_headers(headers)


def test_an_image_is_written_as_headers() -> None:
    sample = image(
        status="active", size=3, checksum="ab", name="grün", properties={"a b/c\xfc:": " x\r\ny:\t", "os": "l"}
    )
    assert dict(headers_of(sample)) == {
        b"X-Image-Meta-id": ID.encode(),
        b"X-Image-Meta-name": "grün".encode(),
        b"X-Image-Meta-owner": b"project-a",
        b"X-Image-Meta-is_public": b"False",
        b"X-Image-Meta-protected": b"False",
        b"X-Image-Meta-status": b"active",
        b"X-Image-Meta-size": b"3",
        b"X-Image-Meta-virtual_size": b"",
        b"X-Image-Meta-checksum": b"ab",
        b"X-Image-Meta-disk_format": b"qcow2",
        b"X-Image-Meta-container_format": b"bare",
        b"X-Image-Meta-min_disk": b"1",
        b"X-Image-Meta-min_ram": b"64",
        b"X-Image-Meta-deleted": b"False",
        b"X-Image-Meta-deleted_at": b"",
        b"X-Image-Meta-created_at": b"2014-06-01T12:00:00",
        b"X-Image-Meta-updated_at": b"2014-06-01T12:00:00",
        b"X-Image-Meta-Property-a%20b%2Fc%C3%BC%3A": b"%20x%0D%0Ay:%09",
        b"X-Image-Meta-Property-os": b"l",
    }


def test_whatever_a_property_is_called_it_is_one_header() -> None:
    hostile = "".join(map(chr, range(0x100))) + "\u2028\U0001f600"
    for name, value in headers_of(image(name=hostile, properties={hostile: hostile})):
        assert re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
        assert re.fullmatch(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?", value)
