"""EC2: credentials over HTTP, signatures as Amazon's documentation has them, and a token for a signed request."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud.errors import BadRequestError
from cloud.services.identity.ec2_signature import SignedRequest, is_signed_with, is_timely
from tests.identity.site import Site

# Amazon's own examples: of the reference of signature version 2 (DescribeJobFlows), and of version 4 (ListUsers).
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCESS = "AKIAIOSFODNN7EXAMPLE"
V2 = SignedRequest(
    access=ACCESS,
    signature="i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
    verb="GET",
    host="elasticmapreduce.amazonaws.com",
    path="/",
    params={
        "Action": "DescribeJobFlows",
        "Version": "2009-03-31",
        "AWSAccessKeyId": ACCESS,
        "SignatureVersion": "2",
        "SignatureMethod": "HmacSHA256",
        "Timestamp": "2011-10-03T15:19:30",
    },
    headers={},
    body_hash="",
)
V4_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
V4_ACCESS = "AKIDEXAMPLE"
V4_SIGNATURE = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
V4_AUTHORIZATION = (
    f"AWS4-HMAC-SHA256 Credential={V4_ACCESS}/20150830/us-east-1/iam/aws4_request, "
    f"SignedHeaders=content-type;host;x-amz-date, Signature={V4_SIGNATURE}"
)
V4 = SignedRequest(
    access=V4_ACCESS,
    signature=V4_SIGNATURE,
    verb="GET",
    host="iam.amazonaws.com",
    path="/",
    params={"Action": "ListUsers", "Version": "2010-05-08"},
    headers={
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-amz-date": "20150830T123600Z",
        "authorization": V4_AUTHORIZATION,
    },
    body_hash="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
)


def test_amazons_examples_are_signed_with_their_secret_and_no_other() -> None:
    assert is_signed_with(SECRET, V2)
    assert not is_signed_with(SECRET + "x", V2)
    assert is_signed_with(V4_SECRET, V4)
    assert not is_signed_with(SECRET, V4)


@pytest.mark.parametrize(
    "changes",
    [
        {"verb": "POST"},
        {"host": "elsewhere.example.org"},
        {"path": "/services/Cloud"},
        {"params": dict(V2.params) | {"Action": "TerminateInstances"}},
        {"params": dict(V2.params) | {"Extra": "1"}},
        {"signature": ""},
        {"signature": "é"},
        {"signature": V2.signature.lower()},
    ],
)
def test_changed_request_is_not_signed(changes: Mapping[str, Any]) -> None:
    assert not is_signed_with(SECRET, replace(V2, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"verb": "PUT"},
        {"host": "elsewhere.example.org"},
        {"path": "/other"},
        {"params": {"Action": "DeleteUser", "Version": "2010-05-08"}},
        {"body_hash": "0" * 64},
        {"headers": dict(V4.headers) | {"x-amz-date": "20150830T123601Z"}},
        {"headers": dict(V4.headers) | {"x-amz-date": "20150831T123600Z"}},
        {"headers": dict(V4.headers) | {"content-type": "text/plain"}},
        {"headers": dict(V4.headers) | {"authorization": V4_AUTHORIZATION.replace("us-east-1", "us-west-1")}},
        {"headers": dict(V4.headers) | {"authorization": V4_AUTHORIZATION.replace("host;", "")}},
    ],
)
def test_changed_request_of_version_4_is_not_signed(changes: Mapping[str, Any]) -> None:
    assert not is_signed_with(V4_SECRET, replace(V4, **changes))


def test_host_may_be_signed_with_its_port_or_without() -> None:
    assert is_signed_with(SECRET, replace(V2, host="elasticmapreduce.amazonaws.com:8773"))
    assert is_signed_with(SECRET, replace(V2, host="ElasticMapReduce.amazonaws.com"))
    assert is_signed_with(V4_SECRET, replace(V4, host="iam.amazonaws.com:443"))


@pytest.mark.parametrize(
    "request_",
    [
        replace(V2, params={}),
        replace(V2, params=dict(V2.params) | {"SignatureVersion": "1"}),
        replace(V2, params=dict(V2.params) | {"SignatureMethod": "HmacSHA1"}),
        replace(V4, access="somebody-else"),
        replace(V4, headers=dict(V4.headers) | {"authorization": "Basic eDp5"}),
        replace(V4, headers=dict(V4.headers) | {"authorization": V4_AUTHORIZATION[:-1]}),
        replace(V4, headers=dict(V4.headers) | {"authorization": ""}),
    ],
)
def test_other_ways_of_signing_are_bad_requests(request_: SignedRequest) -> None:
    with pytest.raises(BadRequestError):
        is_signed_with(SECRET, request_)


@pytest.mark.parametrize(
    ("params", "is_new"),
    [
        ({"Timestamp": "2014-10-16T12:00:00Z"}, True),
        ({"Timestamp": "2014-10-16T12:00:00"}, True),
        ({"Timestamp": "2014-10-16T12:00:00.123Z"}, True),
        ({"Timestamp": "2014-10-16T11:55:00Z"}, True),
        ({"Timestamp": "2014-10-16T11:54:59Z"}, False),
        ({"Timestamp": "2014-10-16T12:05:01Z"}, False),
        ({"Expires": "2014-10-16T12:00:01Z"}, True),
        ({"Expires": "2014-10-16T11:59:59Z"}, False),
        ({"Timestamp": "2014-10-16T11:00:00Z", "Expires": "2014-10-16T13:00:00Z"}, False),
        ({"Timestamp": "soon"}, False),
        ({"Expires": "never"}, False),
        ({}, False),
    ],
)
def test_request_is_good_for_a_while_only(params: dict[str, str], is_new: bool) -> None:
    now = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
    assert is_timely(replace(V2, params=params), now) == is_new


def test_header_that_version_2_does_not_sign_makes_no_old_request_new() -> None:
    now = datetime(2014, 10, 16, 12, 0, tzinfo=UTC)
    assert not is_timely(replace(V2, headers=dict(V2.headers) | {"x-amz-date": "20141016T120000Z"}), now)


def test_time_of_version_4_is_in_a_header() -> None:
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    assert is_timely(V4, at + timedelta(seconds=300))
    assert not is_timely(V4, at + timedelta(seconds=301))


def credential(site: Site, token: str, user: str = "alice", project: str = "red") -> dict[str, Any]:
    path = f"/v2.0/users/{site.users[user].id}/credentials/OS-EC2"
    answer = site.ask("POST", path, token, {"tenant_id": site.project(project).id})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["credential"]
    return made


def signed(made: Mapping[str, str], *, timestamp: str = "2014-10-16T12:00:00Z") -> dict[str, Any]:
    """A request as nova-api hands it over."""
    import base64
    import hashlib
    import hmac

    query = f"AWSAccessKeyId={made['access']}&Action=DescribeInstances&SignatureMethod=HmacSHA256&SignatureVersion=2"
    query += f"&Timestamp={timestamp.replace(':', '%3A')}&Version=2013-02-01"
    text = f"GET\ncloud\n/services/Cloud/\n{query}"
    signature = base64.b64encode(hmac.digest(made["secret"].encode(), text.encode(), hashlib.sha256)).decode()
    params = dict(pair.split("=") for pair in query.split("&")) | {"Timestamp": timestamp, "Signature": signature}
    return {
        "access": made["access"],
        "signature": signature,
        "verb": "GET",
        "host": "cloud:8773",
        "path": "/services/Cloud/",
        "params": params,
    }


def test_users_have_credentials_for_projects_in_which_they_have_a_role(site: Site) -> None:
    alice, bob, admin = site.token("alice", "red"), site.token("bob", "blue"), site.token("admin", "admin")
    path = f"/v2.0/users/{site.users['alice'].id}/credentials/OS-EC2"
    made = credential(site, alice)
    assert set(made) == {"access", "secret", "user_id", "tenant_id", "trust_id"}
    assert (made["user_id"], made["tenant_id"]) == (site.users["alice"].id, site.project("red").id)
    assert site.ask("POST", path, alice, {"tenant_id": site.project("blue").id}).status_code == 404
    for token in (alice, admin):
        assert site.ask("GET", path, token).json()["credentials"] == [made]
        assert site.ask("GET", f"{path}/{made['access']}", token).json()["credential"] == made
    assert site.ask("GET", path, bob).status_code == 404
    bobs = f"/v2.0/users/{site.users['bob'].id}/credentials/OS-EC2"
    assert site.ask("GET", f"{bobs}/{made['access']}", bob).status_code == 404
    assert site.ask("DELETE", f"{bobs}/{made['access']}", bob).status_code == 404
    v3 = path.replace("v2.0", "v3")
    assert site.ask("GET", f"{v3}/{made['access']}", alice).json()["credential"]["secret"] == made["secret"]
    assert site.ask("DELETE", f"{v3}/{made['access']}", alice).status_code == 204
    assert site.ask("GET", path, alice).json()["credentials"] == []
    assert credential(site, admin)["user_id"] == site.users["alice"].id
    other = site.ask("POST", v3, alice, {"tenant_id": site.project("red").id})
    assert (other.status_code, other.json()["credential"]["tenant_id"]) == (201, site.project("red").id)


@pytest.mark.parametrize("key", ["credentials", "ec2Credentials"])
def test_signed_request_gives_nova_api_a_token_of_the_user(site: Site, key: str) -> None:
    admin = site.token("admin", "admin")
    made = credential(site, site.token("alice", "red"))
    for version in ("v2.0", "v3"):
        answer = site.ask("POST", f"/{version}/ec2tokens", admin, {key: signed(made)})
        assert answer.status_code == 200, answer.text
    access = site.ask("POST", "/v2.0/ec2tokens", admin, {key: signed(made)}).json()["access"]
    assert (access["user"]["name"], access["token"]["tenant"]["name"]) == ("alice", "red")
    assert site.is_good(access["token"]["id"])


def test_wrong_signature_unknown_key_and_old_request_get_the_same_answer(local_site: Site) -> None:
    site = local_site
    admin = site.token("admin", "admin")
    made = credential(site, site.token("alice", "red"))
    wrong = [
        signed(made | {"secret": "0" * 40}),
        signed(made | {"access": "0" * 32}),
        signed(made | {"access": "\x00"}),
        signed(made, timestamp="2014-10-16T11:00:00Z"),
        signed(made) | {"host": "elsewhere"},
    ]
    answers = [site.ask("POST", "/v2.0/ec2tokens", admin, {"credentials": body}) for body in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_credential_is_no_good_without_the_role_or_the_user(local_site: Site) -> None:
    site = local_site
    admin = site.token("admin", "admin")
    made = credential(site, site.token("alice", "red"))
    site.identity.roles.take_away(site.assignment("alice", "red", "member"))
    assert site.ask("POST", "/v2.0/ec2tokens", admin, {"credentials": signed(made)}).status_code == 401
    site.give("alice", "red", "member")
    assert site.ask("POST", "/v2.0/ec2tokens", admin, {"credentials": signed(made)}).status_code == 200
    body = {"user": {"enabled": False}}
    site.ask("PUT", f"/v2.0/users/{site.users['alice'].id}/OS-KSADM/enabled", admin, body)
    assert site.ask("POST", "/v2.0/ec2tokens", admin, {"credentials": signed(made)}).status_code == 401


def test_only_services_hand_over_signed_requests(local_site: Site) -> None:
    site = local_site
    alice = site.token("alice", "red")
    body = {"credentials": signed(credential(site, alice))}
    assert site.http.post("/v2.0/ec2tokens", json=body).status_code == 401
    assert site.ask("POST", "/v2.0/ec2tokens", alice, body).status_code == 403
