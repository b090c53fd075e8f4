"""What things look like in v3."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloud.domain.identity import (
    DEFAULT_DOMAIN_ID,
    DEFAULT_DOMAIN_NAME,
    Assignment,
    Ec2Credential,
    Project,
    Role,
    User,
)
from cloud.services.identity.authority import Session
from cloud.services.identity.catalog import Catalog
from cloud.services.identity.times import to_microsecond

DOMAIN = {"id": DEFAULT_DOMAIN_ID, "name": DEFAULT_DOMAIN_NAME}


class Views:
    """Every view links to itself below `public_url`, which is asked each time: a free port is known late."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def listed(self, name: str, path: str, views: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A whole list of `name`, which was asked for at `path`."""
        return {name: list(views), "links": {"self": self._url(path), "next": None, "previous": None}}

    def domain(self) -> dict[str, Any]:
        return {**DOMAIN, "enabled": True, "description": "The only domain", **self._links("domains", DOMAIN["id"])}

    def project(self, project: Project) -> dict[str, Any]:
        return {
            "id": project.id,
            "name": project.name,
            "description": project.description,
            "enabled": project.is_enabled,
            "domain_id": DEFAULT_DOMAIN_ID,
            "parent_id": DEFAULT_DOMAIN_ID,
            "is_domain": False,
            "tags": [],
            "options": {},
            **self._links("projects", project.id),
        }

    def user(self, user: User) -> dict[str, Any]:
        view: dict[str, Any] = {
            "id": user.id,
            "name": user.name,
            "enabled": user.is_enabled,
            "domain_id": DEFAULT_DOMAIN_ID,
            "password_expires_at": None,
            "options": {},
            **self._links("users", user.id),
        }
        if user.email is not None:
            view["email"] = user.email
        if user.default_project_id is not None:
            view["default_project_id"] = user.default_project_id
        return view

    def role(self, role: Role) -> dict[str, Any]:
        return {
            "id": role.id,
            "name": role.name,
            "domain_id": None,
            "description": None,
            "options": {},
            **self._links("roles", role.id),
        }

    def assignment(self, assignment: Assignment, names: Mapping[str, str]) -> dict[str, Any]:
        """With the names that are known of the three ids, and their domain."""

        def named(thing_id: str, **domain: Any) -> dict[str, Any]:
            return {"id": thing_id, "name": names[thing_id], **domain} if thing_id in names else {"id": thing_id}

        path = f"projects/{assignment.project_id}/users/{assignment.user_id}/roles/{assignment.role_id}"
        return {
            "user": named(assignment.user_id, domain=DOMAIN),
            "scope": {"project": named(assignment.project_id, domain=DOMAIN)},
            "role": named(assignment.role_id),
            "links": {"assignment": self._url(path)},
        }

    def credential(self, credential: Ec2Credential) -> dict[str, Any]:
        return {
            "access": credential.access,
            "secret": credential.secret,
            "user_id": credential.user_id,
            "tenant_id": credential.project_id,
            "trust_id": None,
            **self._links(f"users/{credential.user_id}/credentials/OS-EC2", credential.access),
        }

    def token(self, session: Session, *, has_catalog: bool) -> dict[str, Any]:
        """A token and what it opens; the text of the token itself stands in a header."""
        access, token = session.access, session.token
        view: dict[str, Any] = {
            "methods": list(token.methods),
            "user": {
                "id": access.user.id,
                "name": access.user.name,
                "domain": DOMAIN,
                "password_expires_at": None,
            },
            "audit_ids": [token.audit_id],
            "issued_at": to_microsecond(token.issued_at),
            "expires_at": to_microsecond(token.expires_at),
        }
        if access.project is not None:
            view["project"] = {"id": access.project.id, "name": access.project.name, "domain": DOMAIN}
            view["is_domain"] = False
            view["roles"] = [{"id": role.id, "name": role.name} for role in access.roles]
            if has_catalog:
                view["catalog"] = self._catalog.v3(access.project.id)
        return {"token": view}

    def _links(self, collection: str, thing_id: str) -> dict[str, Any]:
        return {"links": {"self": self._url(f"{collection}/{thing_id}")}}

    def _url(self, path: str) -> str:
        return f"{self._catalog.public_url}/v3/{path}"
