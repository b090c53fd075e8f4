"""The tables that clients print, in an order that is the same from run to run."""

import re
from collections.abc import Callable, Iterator, Sequence

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def settled(text: str, shown: Callable[[str], str]) -> str:
    """Rows that a client has put in the order of their UUIDs are in the order of what is `shown` of them."""
    return "\n".join(_settled(text.splitlines(), shown))


def _settled(lines: list[str], shown: Callable[[str], str]) -> Iterator[str]:
    header, rows, is_body = "", list[str](), False
    for line in lines:
        if line.startswith("| "):
            if is_body:
                rows.append(line)
                continue
            header = line
        else:
            yield from sorted(rows, key=shown) if _goes_by_uuid(header, rows) else rows
            is_body = line.startswith("+-") and not is_body and bool(header)
            header, rows = header if is_body else "", []
        yield line
    yield from rows


def _goes_by_uuid(header: str, rows: Sequence[str]) -> bool:
    cells = [cell.strip() for cell in header.strip("|").split("|")]
    has_column = cells[0] == "ID" or any(cell.endswith("UUID") for cell in cells)
    return has_column and all(UUID.search(row) for row in rows)
