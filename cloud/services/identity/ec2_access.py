"""EC2 credentials, and what one of them opens, the same for both versions of the API."""

import secrets
from typing import Any

from pydantic import Field, model_validator

from cloud.domain.identity import Ec2Credential
from cloud.errors import NotFoundError, UnauthorizedError
from cloud.logs.emit import logger
from cloud.services.identity.authority import Scope, Session
from cloud.services.identity.bodies import Body, Claimed
from cloud.services.identity.ec2_signature import SignedRequest, is_signed_with, is_timely
from cloud.services.identity.identity import Identity
from cloud.services.identity.tokens import EC2

_MAX_PAIRS = 1000


class NewCredential(Body):
    tenant_id: Claimed


class SignedRequestBody(Body):
    access: Claimed
    signature: Claimed
    verb: Claimed
    host: Claimed
    path: str
    params: dict[str, str] = Field(default_factory=dict, max_length=_MAX_PAIRS)
    headers: dict[str, str] = Field(default_factory=dict, max_length=_MAX_PAIRS)
    body_hash: str = ""


class Ec2TokenRequest(Body):
    """`credentials`, or `ec2Credentials` as the first clients named it."""

    credentials: SignedRequestBody

    @model_validator(mode="before")
    @classmethod
    def take_the_old_name(cls, values: Any) -> Any:
        if isinstance(values, dict) and "credentials" not in values and "ec2Credentials" in values:
            return {"credentials": values["ec2Credentials"]}
        return values


def create_credential(identity: Identity, user_id: str, project_id: str) -> Ec2Credential:
    """NotFoundError when the user has no role in the project: nobody signs for where he may do nothing."""
    if not identity.roles.of(user_id, project_id):
        raise NotFoundError(f"cannot find project {project_id} of user {user_id}")
    credential = identity.credentials.create(user_id, project_id)
    logger.bind(access=credential.access, subject=user_id, subject_project=project_id).info("ec2 credential created")
    return credential


def credential_of(identity: Identity, user_id: str, access: str) -> Ec2Credential:
    """NotFoundError when the user has no such credential."""
    credential = identity.credentials.get(access)
    if credential is None or credential.user_id != user_id:
        raise NotFoundError(f"cannot find EC2 credential {access}")
    return credential


def delete_credential(identity: Identity, user_id: str, access: str) -> None:
    """NotFoundError when the user has no such credential."""
    identity.credentials.delete(user_id, access)
    logger.bind(access=access, subject=user_id).info("ec2 credential deleted")


def sign_in_by_ec2(identity: Identity, body: SignedRequestBody) -> Session:
    """A token for who signed an EC2 request. UnauthorizedError, BadRequestError for a signature that is not known."""
    request = SignedRequest(
        access=body.access,
        signature=body.signature,
        verb=body.verb,
        host=body.host,
        path=body.path,
        params=body.params,
        headers={name.lower(): value for name, value in body.headers.items()},
        body_hash=body.body_hash,
    )
    credential = identity.credentials.get(body.access)
    secret = credential.secret if credential else secrets.token_hex(20)  # as long a way for one that is not there
    is_right = is_signed_with(secret, request)
    if credential is None or not is_right or not is_timely(request, identity.now()):
        reason = "unknown access key" if credential is None else "too old" if is_right else "wrong signature"
        logger.bind(user=credential.user_id if credential else None, method=EC2, reason=reason).warning(
            "sign-in refused"
        )
        raise UnauthorizedError("the access key or the signature is wrong, or the request is too old")
    try:
        user = identity.users.get(credential.user_id)
    except NotFoundError as exc:
        raise UnauthorizedError("the access key is of no user") from exc
    session = identity.authority.issue(user, Scope(credential.project_id), (EC2,))
    logger.bind(user=user.id, project=credential.project_id, method=EC2, audit_id=session.token.audit_id).info(
        "signed in"
    )
    return session
