"""What every call of the API may refuse with, added to the description that its routes give of themselves."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

_REFUSALS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "401": (
        "Nobody knows who asks: there is no key or token, or no good one.",
        {"detail": "the key is not, or no longer, good", "code": "unauthorized"},
    ),
    "403": (
        "Whoever asks may not.",
        {"detail": "sql:run takes the role operator; key web has the role reader", "code": "forbidden"},
    ),
    "422": (
        "What was asked makes no sense; of a query with `column`, from 1, and what was `expected` there.",
        {
            "detail": "cannot read query at column 6: expected a value right behind the colon",
            "code": "query",
            "column": 6,
            "expected": ["a value"],
        },
    ),
    "429": (
        "Too many wrong keys came from this address: again in Retry-After seconds.",
        {"detail": "too many wrong keys from 192.0.2.7: try again in 3 s", "code": "too_many_failures"},
    ),
    "503": (
        "Not now: others take too long, the time was up, or the store cannot be read.",
        {"detail": "cannot answer now: other questions take longer than 10 s", "code": "busy"},
    ),
}

_ABSENT: Mapping[str, Any] = {"detail": "cannot find row 4711", "code": "not_found"}


def described(document: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI document in which each call of `/api/v1` has these, where it does not say more of them itself."""
    found: dict[str, Any] = deepcopy(dict(document))
    for path, methods in found["paths"].items():
        if not path.startswith("/api/v1/"):
            continue
        for call in methods.values():
            for status, (description, example) in _REFUSALS.items():
                own = call["responses"].setdefault(status, {"description": description})
                if own["description"] == "Validation Error":  # what FastAPI says of its own accord, in another shape
                    own = call["responses"][status] = {"description": description}
                own.setdefault("content", {"application/json": {"example": dict(example)}})
            if "404" in call["responses"]:
                call["responses"]["404"].setdefault("content", {"application/json": {"example": dict(_ABSENT)}})
    return found
