"""Roles as they come and go, and as users get and lose them, the same for both versions of the API."""

from dataclasses import asdict

from cloud.domain.identity import Assignment, Role
from cloud.logs.emit import logger
from cloud.services.identity.identity import Identity


def create_role(identity: Identity, name: str) -> Role:
    """ConflictError when the name is taken."""
    role = identity.roles.create(name)
    logger.bind(role_id=role.id).info("role created")
    return role


def delete_role(identity: Identity, role_id: str) -> None:
    """All tokens of those who had it end. NotFoundError."""
    identity.roles.delete(role_id)
    logger.bind(role_id=role_id).info("role deleted")


def grant(identity: Identity, assignment: Assignment) -> None:
    """Give a role; harmless when the user has it. NotFoundError."""
    if identity.roles.assign(assignment):
        logger.bind(**_named(assignment)).info("role given")


def withdraw(identity: Identity, assignment: Assignment) -> None:
    """Take a role away: all tokens of the user end. NotFoundError."""
    identity.roles.take_away(assignment)
    logger.bind(**_named(assignment)).info("role taken away")


def _named(assignment: Assignment) -> dict[str, str]:
    """Not `user` and `project`: these are whose work the line belongs to."""
    ids = asdict(assignment)
    return {"subject": ids["user_id"], "subject_project": ids["project_id"], "role_id": ids["role_id"]}
