"""A syslog message as RFC 5424 section 6 writes it."""

import pytest

from cloud.logs.emit.rfc5424 import Header

LONGEST_HEAD_BYTES = 1024  # what the body's bound leaves for it


def test_message_has_every_part_in_its_place() -> None:
    message = Header(17, "compute-01", "nova-compute").message(6, 1384855440.123456, 4242, "instance.stop", "@cee: {}")
    assert message == (b"<142>1 2013-11-19T10:04:00.123456Z compute-01 nova-compute 4242 instance.stop - @cee: {}")


def test_what_nobody_knows_is_a_dash() -> None:
    assert Header(0, "", "").message(0, 0, None, None, "") == b"<0>1 1970-01-01T00:00:00.000000Z - - - - - "


@pytest.mark.parametrize(
    ("created_s", "timestamp"),
    [
        (1384855440.0, b"2013-11-19T10:04:00.000000Z"),
        (1384855440.000001, b"2013-11-19T10:04:00.000001Z"),
        (1384855439.9999995, b"2013-11-19T10:04:00.000000Z"),
        (-0.5, b"1969-12-31T23:59:59.500000Z"),
        (-60_000_000_000.0, b"0068-09-03T13:20:00.000000Z"),
    ],
)
def test_time_is_utc_with_six_digits_always(created_s: float, timestamp: bytes) -> None:
    assert Header(1, "h", "a").message(0, created_s, 1, None, "").split(b" ")[1] == timestamp


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("two words", b"two_words"),
        ("line\nbreak\x00", b"line_break_"),
        ("zürich", b"z_rich"),
        ("\ud800", b"_"),
        ("x" * 300, b"x" * 255),
    ],
)
def test_header_field_is_printable_ascii_without_spaces(value: str, written: bytes) -> None:
    assert Header(1, value, "a").message(0, 0, 1, None, "").split(b" ")[2] == written


def test_app_name_and_msgid_keep_to_their_lengths() -> None:
    parts = Header(1, "h", "a" * 60).message(0, 0, 1, "m" * 60, "body").split(b" ")
    assert (parts[3], parts[5]) == (b"a" * 48, b"m" * 32)


def test_longest_head_fits_the_room_that_is_left_for_it() -> None:
    message = Header(23, "h" * 999, "a" * 999).message(7, 1e11, 2**64, "m" * 999, "")
    assert len(message) <= LONGEST_HEAD_BYTES


def test_body_is_utf8_whatever_it_holds() -> None:
    assert Header(1, "h", "a").message(0, 0, 1, None, "ü\ud800").endswith(b" - \xc3\xbc?")
