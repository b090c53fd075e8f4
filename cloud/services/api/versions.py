"""The versions of the API: what each changes for the calls that are served, and how a request names one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from starlette.datastructures import Headers

from cloud.errors import BadRequestError, NotAcceptableError

HEADER = "OpenStack-API-Version"
LEGACY_HEADER = "X-OpenStack-Nova-API-Version"
_SERVICE = "compute"
_FORM = re.compile(r"([1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Ordered: what came with 2.3 is served where `version >= V2_3`."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """BadRequestError for what is no version, such as `2.01`."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise BadRequestError(f"cannot use version {text[:32]!r} of the API: it is not of the form MAJOR.MINOR")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


V2 = Version(2, 0)
"""The API of 2014, which has no versions of its own and is not strict about keys that it does not know."""
V2_1 = Version(2, 1)
V2_2 = Version(2, 2)
V2_3 = Version(2, 3)
V2_4 = Version(2, 4)
V2_5 = Version(2, 5)
V2_6 = Version(2, 6)
V2_7 = Version(2, 7)
V2_8 = Version(2, 8)
V2_9 = Version(2, 9)
V2_10 = Version(2, 10)
V2_11 = Version(2, 11)
V2_12 = Version(2, 12)
V2_13 = Version(2, 13)
V2_14 = Version(2, 14)
V2_15 = Version(2, 15)
V2_16 = Version(2, 16)
V2_17 = Version(2, 17)
V2_18 = Version(2, 18)
V2_19 = Version(2, 19)
V2_20 = Version(2, 20)
V2_21 = Version(2, 21)
V2_22 = Version(2, 22)
V2_23 = Version(2, 23)
V2_24 = Version(2, 24)
V2_25 = Version(2, 25)
V2_26 = Version(2, 26)
V2_27 = Version(2, 27)
V2_28 = Version(2, 28)
V2_29 = Version(2, 29)
V2_30 = Version(2, 30)
OLDEST = V2_1
NEWEST = V2_30


@dataclass(frozen=True, slots=True)
class Change:
    """What a version changes, and in which of the calls that are served: none where it is about others."""

    what: str
    calls: tuple[str, ...] = ()


CHANGES: Mapping[Version, Change] = {
    V2_2: Change(
        "keypairs have a type; one that is made answers 201, one that is deleted 204",
        ("GET /os-keypairs", "GET /os-keypairs/{name}", "POST /os-keypairs", "DELETE /os-keypairs/{name}"),
    ),
    V2_3: Change(
        "admins see reservation_id, launch_index, hostname, root_device_name, user_data, kernel_id and ramdisk_id",
        ("GET /servers/detail", "GET /servers/{id}"),
    ),
    V2_4: Change("a fixed address says whether it is reserved"),
    V2_5: Change("everybody may filter by ip6, not admins alone", ("GET /servers", "GET /servers/detail")),
    V2_6: Change(
        "consoles are had from /servers/{id}/remote-consoles and no longer by actions of their own: neither is served"
    ),
    V2_7: Change(
        "access to a flavor that everybody may use cannot be given: 409 (before: kept, and of no use)",
        ("POST /flavors/{id}/action",),
    ),
    V2_8: Change("remote consoles by the protocol mks"),
    V2_9: Change(
        "servers say whether they are locked",
        ("GET /servers/detail", "GET /servers/{id}", "PUT /servers/{id}", "POST /servers/{id}/action rebuild"),
    ),
    V2_10: Change(
        "keypairs of other users, for admins, by user_id",
        ("GET /os-keypairs", "GET /os-keypairs/{name}", "POST /os-keypairs", "DELETE /os-keypairs/{name}"),
    ),
    V2_11: Change("services can be forced down and say so", ("GET /os-services", "PUT /os-services/force-down")),
    V2_12: Change("virtual interfaces say their network"),
    V2_13: Change("server groups say their project and user"),
    V2_14: Change(
        "evacuate finds out itself whether storage is shared, and gives no password back",
        ("POST /servers/{id}/action evacuate",),
    ),
    V2_15: Change("server groups have soft policies"),
    V2_16: Change("admins see the state of a server's host", ("GET /servers/detail", "GET /servers/{id}")),
    V2_17: Change("an action that has a server write a crash dump"),
    V2_18: Change("the project may be left out of the path", ("every call",)),
    V2_19: Change(
        "servers have a description",
        (
            "POST /servers",
            "GET /servers/detail",
            "GET /servers/{id}",
            "PUT /servers/{id}",
            "POST /servers/{id}/action rebuild",
        ),
    ),
    V2_20: Change("volumes of shelved servers"),
    V2_21: Change(
        "the actions of deleted servers are shown",
        ("GET /servers/{id}/os-instance-actions", "GET /servers/{id}/os-instance-actions/{request_id}"),
    ),
    V2_22: Change(
        "a live migration can be forced to its end",
        ("POST /servers/{id}/migrations/{id}/action force_complete",),
    ),
    V2_23: Change(
        "the migrations of a server that run are shown; each migration says its type, and one that runs where it is",
        ("GET /servers/{id}/migrations", "GET /servers/{id}/migrations/{id}", "GET /os-migrations"),
    ),
    V2_24: Change(
        "a live migration can be called off",
        ("DELETE /servers/{id}/migrations/{id}",),
    ),
    V2_25: Change(
        "live migration chooses between blocks and shared storage itself",
        ("POST /servers/{id}/action os-migrateLive",),
    ),
    V2_26: Change(
        "servers have tags, and are found by them",
        (
            "GET /servers",
            "GET /servers/detail",
            "GET /servers/{id}",
            "POST /servers/{id}/action rebuild",
            "GET /servers/{id}/tags",
            "PUT /servers/{id}/tags",
            "DELETE /servers/{id}/tags",
            "GET /servers/{id}/tags/{tag}",
            "PUT /servers/{id}/tags/{tag}",
            "DELETE /servers/{id}/tags/{tag}",
        ),
    ),
    V2_27: Change("a version may be asked for by OpenStack-API-Version", ("every call",)),
    V2_28: Change(
        "cpu_info is an object and no longer a text",
        ("GET /os-hypervisors/detail", "GET /os-hypervisors/{id}"),
    ),
    V2_29: Change(
        "evacuate asks the scheduler about the host that is named, unless it is forced",
        ("POST /servers/{id}/action evacuate",),
    ),
    V2_30: Change(
        "live migration asks the scheduler about the host that is named, unless it is forced",
        ("POST /servers/{id}/action os-migrateLive",),
    ),
}
"""Each version beyond 2.1."""


def asked_version(headers: Headers) -> Version:
    """The version that a request to /v2.1 asks for; 2.1 where it names none.

    BadRequestError for what is no version, NotAcceptableError for one that is not served.
    """
    text = _asked(headers)
    if text is None:
        return OLDEST
    if text == "latest":
        return NEWEST
    version = Version.parse(text)
    if not OLDEST <= version <= NEWEST:
        raise NotAcceptableError(
            f"version {version} is not supported by the API; the oldest is {OLDEST}, the newest {NEWEST}"
        )
    return version


def _asked(headers: Headers) -> str | None:
    for value in headers.getlist(HEADER):
        for part in value.split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == _SERVICE:
                return version.strip().lower()
    legacy = headers.get(LEGACY_HEADER)
    return None if legacy is None else legacy.strip().lower()


def version_headers(version: Version) -> Sequence[tuple[bytes, bytes]]:
    """What an answer of /v2.1 says of its version, as ASGI has headers."""
    shown = str(version).encode()
    return (
        (HEADER.lower().encode(), f"{_SERVICE} {version}".encode()),
        (LEGACY_HEADER.lower().encode(), shown),
        (b"vary", f"{HEADER}, {LEGACY_HEADER}".encode()),
    )


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the versions that have a path of their own."""

    id: str
    path: str
    status: str
    newest: str
    oldest: str
    updated: str
    media_version: str


BRANCHES = (
    Branch("v2.0", "/v2", "SUPPORTED", "", "", "2011-01-21T11:33:21Z", "2"),
    Branch("v2.1", "/v2.1", "CURRENT", str(NEWEST), str(OLDEST), "2013-07-23T11:33:21Z", "2.1"),
)


def list_document(base_url: str) -> dict[str, Any]:
    """What `/` says: which versions there are, and where."""
    return {"versions": [_summary(branch, base_url) for branch in BRANCHES]}


def branch_document(branch: Branch, base_url: str) -> dict[str, Any]:
    """What the path of a version itself says."""
    media_type = f"application/vnd.openstack.compute+json;version={branch.media_version}"
    summary = _summary(branch, base_url)
    documentation = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}
    return {
        "version": {
            **summary,
            "links": [*summary["links"], documentation],
            "media-types": [{"base": "application/json", "type": media_type}],
        }
    }


def _summary(branch: Branch, base_url: str) -> dict[str, Any]:
    return {
        "id": branch.id,
        "status": branch.status,
        "version": branch.newest,
        "min_version": branch.oldest,
        "updated": branch.updated,
        "links": [{"rel": "self", "href": f"{base_url}{branch.path}/"}],
    }
