"""The table of addresses that instances have, out of a network that nova.conf names."""

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network

from sqlalchemy import BigInteger, case, delete, exists, insert, literal, select
from sqlalchemy.orm import Session, aliased

from cloud.db.batches import batches
from cloud.db.bounds import check_values
from cloud.db.engine import Database
from cloud.db.instances import refuse_deleted
from cloud.db.models import FixedIpRow
from cloud.domain.fixed_ip import Allocation, FixedIp
from cloud.errors import ConflictError

__all__ = ["FixedIp", "FixedIpTable"]

_LOCK = "fixed_ips"
_MAC_ATTEMPTS = 20  # of 2^24: with a million in use, one in 10^24 allocations would find none


class FixedIpTable:
    """Every method is one transaction, and raises DatabaseUnavailableError as Database.transaction does."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def allocate(self, instance_uuid: str, network: str, cidr: str) -> FixedIp:
        """Give the instance the lowest free address of `cidr`; a second time in that network gives the same.

        The network's own address, the one after it, which is the gateway's, and the last are not given away.
        ConflictError when none is free, InstanceNotFoundError for an instance that is deleted, ValueError for a
        `cidr` that is none of IPv4.
        """
        addresses = IPv4Network(cidr)
        values = {"instance_uuid": instance_uuid, "network": network}
        check_values(FixedIpRow, values)
        same = select(FixedIpRow).where(FixedIpRow.instance_uuid == instance_uuid, FixedIpRow.network == network)
        with self._database.transaction() as session:
            refuse_deleted(session, instance_uuid)
            self._database.lock(session, _LOCK)
            row = session.scalars(same).one_or_none()
            if row is None:
                number = _lowest_free(session, addresses)
                if number is None:
                    raise ConflictError(f"cannot allocate an address of network {network}: none of {cidr} is free")
                place = {"number": number, "address": str(IPv4Address(number)), "mac": _free_mac(session)}
                new = insert(FixedIpRow).values(**values, **place, created_at=self._now())
                row = session.scalars(new.returning(FixedIpRow)).one()
            return _fixed_ip(row)

    def release(self, instance_uuid: str) -> None:
        """Take back all that it has; nothing is no change."""
        with self._database.transaction() as session:
            session.execute(delete(FixedIpRow).where(FixedIpRow.instance_uuid == instance_uuid))

    def of(self, uuids: Collection[str]) -> Mapping[str, tuple[FixedIp, ...]]:
        """What each instance has, in the order of allocation; without those that have none."""
        found = defaultdict[str, list[FixedIp]](list)
        with self._database.reading() as session:
            for batch in batches(uuids):
                rows = select(FixedIpRow).where(FixedIpRow.instance_uuid.in_(batch)).order_by(FixedIpRow.id)
                for row in session.scalars(rows):
                    found[row.instance_uuid].append(_fixed_ip(row))
        return {uuid: tuple(fixed_ips) for uuid, fixed_ips in found.items()}

    def page(self, behind: int, limit: int) -> tuple[Allocation, ...]:
        """At most so many of all, by id; those whose id is above `behind`."""
        rows = select(FixedIpRow).where(FixedIpRow.id > behind).order_by(FixedIpRow.id).limit(limit)
        with self._database.reading() as session:
            return tuple(
                Allocation(row.id, row.instance_uuid, _fixed_ip(row), row.created_at) for row in session.scalars(rows)
            )


def _lowest_free(session: Session, addresses: IPv4Network) -> int | None:
    first = int(addresses.network_address) + 2
    last = int(addresses.broadcast_address) - 1
    if first > last:
        return None
    following = aliased(FixedIpRow)
    is_followed = exists().where(following.number == FixedIpRow.number + 1)
    before_gap = (
        select(FixedIpRow.number)
        .where(FixedIpRow.number >= first, FixedIpRow.number < last, ~is_followed)
        .order_by(FixedIpRow.number)
        .limit(1)
        .scalar_subquery()
    )
    is_first_taken = exists().where(FixedIpRow.number == first)
    # In one statement, which sees one state: addresses may be released at any moment.
    free = case((is_first_taken, before_gap + 1), else_=literal(first, BigInteger))
    return session.scalar(select(free))


def _free_mac(session: Session) -> str:
    for _ in range(_MAC_ATTEMPTS):
        mac = "fa:16:3e:" + secrets.token_bytes(3).hex(":")  # the prefix that all of OpenStack uses
        if session.scalar(select(FixedIpRow.id).where(FixedIpRow.mac == mac)) is None:
            return mac
    raise ConflictError(f"cannot find a free MAC address: {_MAC_ATTEMPTS} were in use")


def _fixed_ip(row: FixedIpRow) -> FixedIp:
    return FixedIp(address=row.address, mac=row.mac, network=row.network)
