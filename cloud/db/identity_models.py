"""The identity service's tables; they belong to the same metadata as those of models.py."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cloud.db.models import Base, UtcDateTime
from cloud.domain.service import MAX_TEXT_LENGTH

ID_LENGTH = 32


class ProjectRow(Base):
    """A project; one that is deleted is gone, and its tokens with it."""

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    description: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    enabled: Mapped[bool]
    token_epoch: Mapped[int]  # a token that carries another one is not good any more
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UserRow(Base):
    """A user and what the password is checked against."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    password_hash: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    email: Mapped[str | None] = mapped_column(String(MAX_TEXT_LENGTH))
    enabled: Mapped[bool]
    default_project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="SET NULL"))
    token_epoch: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RoleRow(Base):
    __tablename__ = "roles"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))


class RoleAssignmentRow(Base):
    """That a user has a role in a project."""

    __tablename__ = "role_assignments"
    __table_args__ = (Index(None, "project_id"), Index(None, "role_id"))

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[str] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)


class RevokedTokenRow(Base):
    """A token that ended before its time; the row goes when the token would have expired."""

    __tablename__ = "revoked_tokens"
    __table_args__ = (Index(None, "expires_at"),)

    audit_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Ec2CredentialRow(Base):
    """A key pair for EC2. Its secret is kept as it is: a signature can be checked with nothing less."""

    __tablename__ = "ec2_credentials"
    __table_args__ = (Index(None, "user_id"), Index(None, "project_id"))

    access: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    secret: Mapped[str] = mapped_column(String(MAX_TEXT_LENGTH))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
