"""An explanation, as the API gives it, in sentences: the answer first, then what it was drawn from."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

SHORT = 200
"""Characters of an error where the answer is told in short."""
_SAFE: Mapping[bool | None, str] = {True: "safe", False: "not safe", None: "whether it is safe is not known"}

Values = Mapping[str, Any]


def headline(found: Values) -> str:
    name = f"{found['procedure']} {found['migration']}" if found["migration"] else found["procedure"]
    instance = f" of instance {found['instance']}" if found["instance"] else ""
    names = f" ({', '.join(found['instance_names'])})" if found["instance_names"] else ""
    step = f" at step {found['failure']['step']}" if found["failure"] and found["failure"]["step"] else ""
    endings = {
        "failed": "failed",
        "completed": "was completed",
        "cancelled": "was given up",
        "unknown": "has no end in these lines",
    }
    return f"{name}{instance}{names} {endings[found['ending']]}{step}"


def facts(found: Values) -> Iterator[str]:
    if found["asked"] != found["id"] or found["note"]:
        taken = f"{found['asked']} is taken for {found['kind']} {found['id']}"
        yield taken if not found["note"] else f"{taken}: {found['note']}"
    if found["source"] or found["destination"]:
        yield f"from host {found['source'] or '(none)'} to host {found['destination'] or '(none yet)'}"
    yield f"{moment(found['began'])} to {moment(found['ended'])} UTC"
    if found["requests"]:
        yield f"requested by {', '.join(found['requests'])}"


def in_short(found: Values) -> Iterator[str]:
    """The answer: why, and where the instance is."""
    if failure := found["failure"]:
        titles = [cause["title"] for cause in found["causes"]]
        if found["verdict"] == "known":
            likely = "" if found["causes"][0]["certainty"] == "certain" else "likely, "
            yield f"why: {likely}{titles[0]}"
        elif titles:
            yield f"why: one of these: {'; '.join(titles)}"
        else:
            yield f"why: not known; the first error is: {_shortened(failure['error'])}"
    if position := found["position"]:
        yield f"now: on {place(position)}; {_SAFE[position['is_safe']]}"


def verdict(found: Values) -> str:
    first = found["failure"] and found["failure"]["error"]
    sentences = {
        "known": "The cause is known.",
        "unclear": "Several known causes fit; the lines do not show which one it is.",
        "unknown": f"The cause is unknown: no known one fits. The first error is: {first}",
        "no failure": "No line tells of a failure.",
    }
    return sentences[found["verdict"]]


def named_cause(cause: Values) -> str:
    likely = "" if cause["certainty"] == "certain" else f" ({cause['certainty']}: seen in {source(cause['seen_in'])})"
    return f"{cause['title']} [{cause['id']}]{likely}"


def where_it_is(position: Values) -> str:
    return f"{place(position)}; {_SAFE[position['is_safe']]}: {position['reason']}"


def place(position: Values) -> str:
    certain = position["certainty"]
    if position["host"]:
        return f"host {position['host']} ({certain})"
    return "a host that is not known" if certain == "not known" else f"no host ({certain})"


def beside(position: Values) -> Iterator[str]:
    """What else there may be of it, and how to find out."""
    for copy in position["copies"]:
        yield f"Copies: {copy}."
    if position["doctor"]:
        yield f"If so, `cloud doctor` lists it as {' or '.join(position['doctor'])}."


def other_procedure(other: Values) -> str:
    name = f"{other['name']} {other['migration']}" if other["migration"] else other["name"]
    return f"{name}, {moment(other['began'])} UTC: {other['ending']}; {', '.join(other['requests'])}".rstrip("; ")


def source(quote: Values) -> str:
    return " ".join(filter(None, (quote["host"], quote["service"]))) or "-"


def moment(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _shortened(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[: SHORT - 4]} ..."
