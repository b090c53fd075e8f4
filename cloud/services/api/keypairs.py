"""os-keypairs: the public keys that a user may put on new servers, generated here or brought along."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import StringConstraints
from starlette.responses import JSONResponse, Response

from cloud.domain.keypair import Keypair, NewKeypair
from cloud.errors import BadRequestError
from cloud.services.api.body import Body, BodyOf, Name, Since
from cloud.services.api.call import Call, TheCall
from cloud.services.api.key_material import SSH, PublicKeyError, fingerprint, generate
from cloud.services.api.times import moment
from cloud.services.api.versions import V2_2, V2_10, Version

router = APIRouter()


class NewPair(Body):
    """Without a public key one is generated, and its private half is in the answer."""

    name: Annotated[Name, StringConstraints(pattern=r"^[a-zA-Z0-9_ -]+$")]
    public_key: str | None = None
    type: Annotated[Literal["ssh", "x509"], Since(V2_2)] = SSH
    user_id: Annotated[Annotated[str, StringConstraints(min_length=1, max_length=255)] | None, Since(V2_10)] = None


class NewPairBody(Body):
    keypair: NewPair


@router.get("/os-keypairs")
def list_keypairs(call: TheCall, user_id: str | None = None) -> JSONResponse:
    owner = _owner(call, "compute:keypairs:list", user_id)
    found = call.parts.keypairs.list(owner)
    return JSONResponse({"keypairs": [{"keypair": _brief(keypair, call.version)} for keypair in found]})


@router.get("/os-keypairs/{name}")
def show_keypair(call: TheCall, name: str, user_id: str | None = None) -> JSONResponse:
    owner = _owner(call, "compute:keypairs:show", user_id)
    keypair = call.parts.keypairs.get(owner, name)
    further = {
        "id": keypair.id,
        "user_id": keypair.user_id,
        "created_at": moment(keypair.created_at),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return JSONResponse({"keypair": _brief(keypair, call.version) | further})


@router.post("/os-keypairs")
def create_keypair(call: TheCall, body: Annotated[NewPairBody, Depends(BodyOf(NewPairBody))]) -> JSONResponse:
    """ConflictError for a name that the user has a key of, QuotaError beyond the project's limit of key_pairs."""
    wanted = body.keypair
    owner = _owner(call, "compute:keypairs:create", wanted.user_id)
    private: dict[str, str] = {}
    try:
        if wanted.public_key is None:
            pair = generate(wanted.type, owner)
            public_key, its_fingerprint = pair.public_key, pair.fingerprint
            private = {"private_key": pair.private_key}
        else:
            public_key, its_fingerprint = wanted.public_key, fingerprint(wanted.type, wanted.public_key)
    except PublicKeyError as exc:
        raise BadRequestError(f"cannot use the public key of key pair {wanted.name}: {exc}") from exc
    new = NewKeypair(owner, wanted.name, wanted.type, its_fingerprint, public_key)
    limit = call.parts.quotas.limits(call.project_id)["key_pairs"]
    keypair = call.parts.keypairs.create(new, limit)
    shown = _brief(keypair, call.version) | {"user_id": owner} | private
    return JSONResponse({"keypair": shown}, 201 if call.version >= V2_2 else 200)


@router.delete("/os-keypairs/{name}")
def delete_keypair(call: TheCall, name: str, user_id: str | None = None) -> Response:
    """Servers keep the key they were given."""
    call.parts.keypairs.delete(_owner(call, "compute:keypairs:delete", user_id), name)
    return Response(status_code=204 if call.version >= V2_2 else 202)


def _owner(call: Call, action: str, user_id: str | None) -> str:
    """Whose keys are meant: another user's only since 2.10, and only by admins."""
    call.require(action)
    if user_id is None or call.version < V2_10 or user_id == call.caller.user_id:
        return call.caller.user_id
    call.require(f"{action}:any")
    return user_id


def _brief(keypair: Keypair, version: Version) -> dict[str, Any]:
    shown = {"name": keypair.name, "public_key": keypair.public_key, "fingerprint": keypair.fingerprint}
    return shown | ({"type": keypair.type} if version >= V2_2 else {})
