"""What things look like in v2.0."""

from typing import Any

from cloud.domain.identity import Ec2Credential, Project, Role, User
from cloud.services.identity.authority import Session
from cloud.services.identity.catalog import Catalog
from cloud.services.identity.times import to_microsecond, to_second


def tenant_view(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "enabled": project.is_enabled,
    }


def user_view(user: User) -> dict[str, Any]:
    view = {"id": user.id, "name": user.name, "username": user.name, "email": user.email, "enabled": user.is_enabled}
    return view if user.default_project_id is None else view | {"tenantId": user.default_project_id}


def role_view(role: Role) -> dict[str, Any]:
    return {"id": role.id, "name": role.name}


def credential_view(credential: Ec2Credential) -> dict[str, Any]:
    return {
        "access": credential.access,
        "secret": credential.secret,
        "user_id": credential.user_id,
        "tenant_id": credential.project_id,
        "trust_id": None,
    }


def access_view(session: Session, catalog: Catalog) -> dict[str, Any]:
    """A token and what it opens."""
    access = session.access
    token: dict[str, Any] = {
        "id": session.text,
        "issued_at": to_microsecond(session.token.issued_at),
        "expires": to_second(session.token.expires_at),
        "audit_ids": [session.token.audit_id],
    }
    if access.project is not None:
        token["tenant"] = tenant_view(access.project)
    view = {
        "token": token,
        "serviceCatalog": catalog.v2(session.token.project_id),
        "user": {
            "id": access.user.id,
            "name": access.user.name,
            "username": access.user.name,
            "roles": [{"name": role.name} for role in access.roles],
            "roles_links": [],
        },
        "metadata": {"is_admin": 0, "roles": [role.id for role in access.roles]},
    }
    return {"access": view}
