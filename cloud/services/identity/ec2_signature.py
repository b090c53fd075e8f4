"""The signatures of EC2 requests: what was signed, and whether a secret makes the same of it.

Version 2 is Amazon's HMAC over the sorted query; version 4 signs a canonical form of the whole request, with a key that
is derived for day, region and service.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from cloud.errors import BadRequestError

MAX_AGE = timedelta(seconds=300)
"""How far a request's time may be from ours."""
_V4 = "AWS4-HMAC-SHA256"
_V4_AUTHORIZATION = re.compile(
    rf"{_V4}\s+Credential=(?P<access>[^/,\s]+)/(?P<scope>(?P<day>\d{{8}})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)"
    r"/aws4_request)\s*,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+)\s*,\s*Signature=[0-9a-f]{64}"
)
_WITH_PORT = re.compile(r"(.+):\d+")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An EC2 request as the API got it: `params` of the query or the form, `headers` by lower-case names."""

    access: str
    signature: str
    verb: str
    host: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body_hash: str


def is_signed_with(secret: str, request: SignedRequest) -> bool:
    """Whether `secret` gives the request's signature. BadRequestError for a way of signing that is not known."""
    signatures = _v4_signatures(secret, request) if _is_v4(request) else _v2_signatures(secret, request)
    given = request.signature.encode(errors="replace")
    return any(hmac.compare_digest(signature.encode(), given) for signature in signatures)


def is_timely(request: SignedRequest, now: datetime) -> bool:
    """Whether it was made just now, or says itself that it has not expired yet: what was once overheard is not."""
    expires, signed_at = request.params.get("Expires"), _signed_at(request)
    if expires is not None and signed_at is None:
        until = _time(expires)
        return until is not None and now <= until
    return signed_at is not None and abs(now - signed_at) <= MAX_AGE


def _is_v4(request: SignedRequest) -> bool:
    return "authorization" in request.headers or request.params.get("X-Amz-Algorithm") == _V4


def _signed_at(request: SignedRequest) -> datetime | None:
    """By what is signed: version 2 signs parameters and no header, which anybody could have renewed."""
    text = request.headers.get("x-amz-date") if _is_v4(request) else request.params.get("Timestamp")
    return _time(text or "")


def _time(text: str) -> datetime | None:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%SZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _v2_signatures(secret: str, request: SignedRequest) -> Iterable[str]:
    if request.params.get("SignatureVersion") != "2" or request.params.get("SignatureMethod") != "HmacSHA256":
        raise BadRequestError("cannot check an EC2 signature but of version 2 with HmacSHA256, or of version 4")
    query = _query({key: value for key, value in request.params.items() if key != "Signature"})
    for host in _hosts(request.host):
        text = f"{request.verb.upper()}\n{host.lower()}\n{request.path}\n{query}"
        digest = hmac.digest(secret.encode(), text.encode(errors="replace"), hashlib.sha256)
        yield base64.b64encode(digest).decode()


def _v4_signatures(secret: str, request: SignedRequest) -> Iterable[str]:
    match = _V4_AUTHORIZATION.fullmatch(request.headers.get("authorization", "").strip())
    if match is None or match["access"] != request.access:
        raise BadRequestError("cannot read an EC2 signature of version 4 but from a whole Authorization header")
    names = match["headers"].split(";")
    time = request.headers.get("x-amz-date", "")
    if "host" not in names or not time.startswith(match["day"]):
        return
    # In a form the parameters are the body, which its hash stands for.
    query = _query(request.params) if request.verb.upper() == "GET" else ""
    key = f"AWS4{secret}".encode()
    for part in (match["day"], match["region"], match["service"], "aws4_request"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    for host in _hosts(request.host):
        values = {**request.headers, "host": host}
        headers = "".join(f"{name}:{' '.join(values.get(name, '').split())}\n" for name in names)
        whole = "\n".join([request.verb.upper(), request.path, query, headers, match["headers"], request.body_hash])
        text = "\n".join([_V4, time, match["scope"], hashlib.sha256(whole.encode(errors="replace")).hexdigest()])
        yield hmac.digest(key, text.encode(), hashlib.sha256).hex()


def _hosts(host: str) -> tuple[str, ...]:
    """Clients sign the host with its port or without it."""
    match = _WITH_PORT.fullmatch(host)
    return (host, match[1]) if match else (host,)


def _query(params: Mapping[str, str]) -> str:
    pairs = sorted((_quoted(key), _quoted(value)) for key, value in params.items())
    return "&".join(f"{key}={value}" for key, value in pairs)


def _quoted(text: str) -> str:
    return quote(text.encode(errors="replace"), safe="-_.~")
