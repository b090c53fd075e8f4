"""Claims against the instances that they are for: each has one on its host, and one more where it moves to or from."""

from collections.abc import Iterator

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.row_remedies import ReleaseClaim, TakeClaim, in_words
from cloud.doctor.survey import SeenInstance, Survey
from cloud.domain.claim import Claim
from cloud.domain.instance import VmState


def examine_claims(survey: Survey, _bounds: Bounds) -> Iterator[Finding]:
    """Those that take room for nothing, and instances for which none is taken.

    Nothing is said of an instance whose guest is elsewhere: the claim goes with it.
    """
    claimed = {(claim.instance_uuid, claim.host): claim for claim in survey.claims}
    for claim in survey.claims:
        instance = survey.instances.get(claim.instance_uuid)
        if instance is None:
            yield _without_instance(claim)
        elif _is_to_be_elsewhere(survey, instance, claim):
            yield _elsewhere(survey, instance, claim)
    for instance in survey.instances.values():
        if instance.host is None or not survey.is_settled(instance) or survey.is_elsewhere(instance):
            continue
        own = claimed.get((instance.uuid, instance.host))
        if own is None:
            yield _missing(survey, instance, instance.host)
        elif own.resources != instance.resources and instance.vm_state is not VmState.RESIZED:
            yield _of_wrong_size(instance, own)


def _without_instance(claim: Claim) -> Finding:
    return Finding(
        Kind.CLAIM_WITHOUT_INSTANCE,
        claim.instance_uuid,
        claim.host,
        f"{in_words(claim.resources)} are claimed there, and the instance is deleted or never was",
        claim.created_at,
        ReleaseClaim(claim.instance_uuid, claim.host),
    )


def _is_to_be_elsewhere(survey: Survey, instance: SeenInstance, claim: Claim) -> bool:
    """Whether the instance, to which nothing is done, has nothing to do with the claim's host."""
    if claim.host == instance.host or not survey.is_settled(instance):
        return False
    if claim.host in survey.places.get(instance.uuid, ()):  # the guest is to be looked after first
        return False
    if any(copy.uuid == instance.uuid and copy.is_for_revert for copy in survey.copies.get(claim.host, ())):
        return False  # so is the copy: a revert needs the room
    moves = survey.moves.get(instance.uuid, ())
    return all(claim.host not in (move.source_compute, move.dest_compute) for move in moves)


def _elsewhere(survey: Survey, instance: SeenInstance, claim: Claim) -> Finding:
    what = f"{in_words(claim.resources)} are claimed there, and the instance is on {instance.host or 'no host'}"
    silent = survey.silent.get(claim.host)
    unmended = None
    if silent is not None:
        unmended = f"nothing while {claim.host} may have a guest of it, and does not say ({silent})"
    elif claim.host in survey.guests and claim.host not in survey.copies:
        unmended = f"nothing while {claim.host} may keep a copy of it for a revert, and is too old to say"
    remedy = ReleaseClaim(instance.uuid, claim.host, instance) if unmended is None else None
    return Finding(Kind.CLAIM_ELSEWHERE, instance.uuid, claim.host, what, claim.created_at, remedy, unmended)


def _missing(survey: Survey, instance: SeenInstance, host: str) -> Finding:
    return Finding(
        Kind.CLAIM_MISSING,
        instance.uuid,
        host,
        f"nothing is claimed of its host, though it takes {in_words(instance.resources)}",
        instance.updated_at,
        TakeClaim(instance, host) if host in survey.nodes else None,
        f"nothing: {host} has never reported its resources",
    )


def _of_wrong_size(instance: SeenInstance, claim: Claim) -> Finding:
    return Finding(
        Kind.CLAIM_OF_WRONG_SIZE,
        instance.uuid,
        claim.host,
        f"{in_words(claim.resources)} are claimed of its host, and it takes {in_words(instance.resources)}",
        instance.updated_at,
        TakeClaim(instance, claim.host),
    )
