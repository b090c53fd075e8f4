"""Sessions as text: what is hidden of a run, and what a command may name of it."""

from uuid import UUID

import pytest

from tests.clients.transcript import Mask, Step, parse, render

ONE, TWO, THREE = (str(UUID(int=number)) for number in (0xA1, 0xB2, 0xC3))
SHOWN = "11111111-uuid-uuid-uuid-{:012}".format


def table(header: str, *rows: str) -> str:
    return "\n".join(["+----+", header, "+----+", *rows, "+----+"])


def test_the_same_thing_looks_the_same_in_the_whole_session() -> None:
    mask = Mask()
    assert mask(f"{TWO} {ONE} instance-0000000a") == f"{SHOWN(1)} {SHOWN(2)} instance-00000003"
    assert mask(f"req-{ONE} instance-0000000a") == f"req-{SHOWN(2)} instance-00000003"


def test_command_names_what_was_printed() -> None:
    mask = Mask()
    mask(f"{TWO} {ONE} instance-0000000a")
    asked = f"$ nova show {SHOWN(2)} req-{SHOWN(1)} instance-00000003"
    assert mask.lifted(asked) == f"$ nova show {ONE} req-{TWO} instance-0000000a"
    with pytest.raises(KeyError):
        mask.lifted(f"$ nova show {SHOWN(4)}")


@pytest.mark.parametrize("uuids", [(ONE, TWO, THREE), (THREE, TWO, ONE), (TWO, THREE, ONE)])
def test_rows_do_not_go_by_uuids_that_differ_from_run_to_run(uuids: tuple[str, str, str]) -> None:
    mask = Mask()
    names = dict(zip(uuids, ("a", "b", "c"), strict=True))
    rows = [f"| {uuid} | {names[uuid]} |" for uuid in sorted(uuids)]
    first = mask(table("| ID | Name |", *rows))
    assert first == table("| ID | Name |", *(f"| {SHOWN(n)} | {name} |" for n, name in enumerate("abc", start=1)))
    again = mask(table("| Server UUID | Name |", *rows))
    assert again == first.replace("| ID |", "| Server UUID |")


@pytest.mark.parametrize("header", ["| Property | Value |", "| Action | Request_ID |"])
def test_rows_of_other_tables_stay_in_their_order(header: str) -> None:
    text = table(header, "| z | 1 |", "| a | 2 |") + "\nand so on"
    assert Mask()(text) == text


def test_what_is_parsed_is_rendered_again() -> None:
    text = "# a comment\n$ nova list\n+--+\n+--+\n\n$ nova stop a\n$ nova start a\nno\n(exit 1)\n\n"
    steps = parse(text)
    assert steps[1:3] == [Step("$ nova list", "+--+\n+--+"), Step("$ nova stop a")]
    assert render(steps) == text
