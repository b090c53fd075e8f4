"""v3's EC2 credentials, and a token for a request that was signed with one."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from cloud.services.identity.ec2_access import (
    Ec2TokenRequest,
    NewCredential,
    create_credential,
    credential_of,
    delete_credential,
    sign_in_by_ec2,
)
from cloud.services.identity.guard import may, may_own
from cloud.services.identity.identity import Identity
from cloud.services.identity.v3.views import Views

_ALL = "/v3/users/{user_id}/credentials/OS-EC2"
_ONE = f"{_ALL}/{{access}}"


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()
    views = Views(identity.catalog)

    @routes.post(_ALL, dependencies=[may_own("identity:ec2_credentials:create")])
    def add_credential(user_id: str, body: NewCredential) -> Response:
        credential = create_credential(identity, user_id, body.tenant_id)
        return JSONResponse({"credential": views.credential(credential)}, 201)

    @routes.get(_ALL, dependencies=[may_own("identity:ec2_credentials:show")])
    def list_credentials(user_id: str) -> Response:
        identity.users.get(user_id)
        found = [views.credential(credential) for credential in identity.credentials.of_user(user_id)]
        return JSONResponse(views.listed("credentials", f"users/{user_id}/credentials/OS-EC2", found))

    @routes.get(_ONE, dependencies=[may_own("identity:ec2_credentials:show")])
    def show_credential(user_id: str, access: str) -> Response:
        return JSONResponse({"credential": views.credential(credential_of(identity, user_id, access))})

    @routes.delete(_ONE, dependencies=[may_own("identity:ec2_credentials:delete")])
    def remove_credential(user_id: str, access: str) -> Response:
        delete_credential(identity, user_id, access)
        return Response(status_code=204)

    @routes.post("/v3/ec2tokens", dependencies=[may("identity:ec2tokens:create")])
    def create_token(body: Ec2TokenRequest) -> Response:
        """For nova-api, as v2.0's."""
        session = sign_in_by_ec2(identity, body.credentials)
        return JSONResponse(views.token(session, has_catalog=True), 200, {"X-Subject-Token": session.text})

    return routes
