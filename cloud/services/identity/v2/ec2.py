"""v2.0's EC2 credentials, and a token for a request that was signed with one."""

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
from cloud.services.identity.v2.views import access_view, credential_view

_ALL = "/v2.0/users/{user_id}/credentials/OS-EC2"
_ONE = f"{_ALL}/{{access}}"


def router(identity: Identity) -> APIRouter:
    routes = APIRouter()

    @routes.post(_ALL, dependencies=[may_own("identity:ec2_credentials:create")])
    def add_credential(user_id: str, body: NewCredential) -> Response:
        return JSONResponse({"credential": credential_view(create_credential(identity, user_id, body.tenant_id))})

    @routes.get(_ALL, dependencies=[may_own("identity:ec2_credentials:show")])
    def list_credentials(user_id: str) -> Response:
        identity.users.get(user_id)
        return JSONResponse({"credentials": [credential_view(one) for one in identity.credentials.of_user(user_id)]})

    @routes.get(_ONE, dependencies=[may_own("identity:ec2_credentials:show")])
    def show_credential(user_id: str, access: str) -> Response:
        return JSONResponse({"credential": credential_view(credential_of(identity, user_id, access))})

    @routes.delete(_ONE, dependencies=[may_own("identity:ec2_credentials:delete")])
    def remove_credential(user_id: str, access: str) -> Response:
        delete_credential(identity, user_id, access)
        return Response(status_code=204)

    @routes.post("/v2.0/ec2tokens", dependencies=[may("identity:ec2tokens:create")])
    def create_token(body: Ec2TokenRequest) -> Response:
        """For nova-api: whoever could post overheard requests here himself would get tokens for them."""
        return JSONResponse(access_view(sign_in_by_ec2(identity, body.credentials), identity.catalog))

    return routes
