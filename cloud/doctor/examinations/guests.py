"""Guests on hypervisors against instances in the database, where nothing is being done to them."""

from collections.abc import Iterator

from cloud.doctor.bounds import Bounds
from cloud.doctor.finding import Finding, Kind
from cloud.doctor.host_remedies import RebootHard, RemoveDuplicate
from cloud.doctor.leftover_remedies import KeepGuest, RemoveLeftover
from cloud.doctor.remedy import Remedy
from cloud.doctor.row_remedies import PutOnHost
from cloud.doctor.survey import OFF, SeenInstance, Survey
from cloud.domain.instance import PowerState, VmState


def examine_guests(survey: Survey, _bounds: Bounds) -> Iterator[Finding]:
    """Guests that are nobody's, or in the wrong place, or twice; and instances that have none."""
    for uuid in sorted(survey.places.keys() - survey.instances.keys()):
        for host in survey.places[uuid]:
            yield _unknown(survey, uuid, host)
    for instance in survey.instances.values():
        if not survey.is_settled(instance):
            continue
        places = survey.places.get(instance.uuid, ())
        for host in places:
            if host != instance.host:
                yield _duplicate(survey, instance, host) if len(places) > 1 else _elsewhere(survey, instance, host)
        if not places and _should_have_guest(survey, instance):
            yield _missing(survey, instance)


def _unknown(survey: Survey, uuid: str, host: str) -> Finding:
    state = survey.guests[host][uuid]
    deleted_at = survey.deleted.get(uuid)
    remedy: Remedy
    if deleted_at is None:
        what = "the database has never had such an instance: nobody knows whose it is"
        remedy = KeepGuest(uuid, host, is_off=state in OFF)
    else:
        what = "the instance is deleted"
        remedy = RemoveLeftover(uuid, host, is_off=state in OFF)
    return Finding(Kind.GUEST_UNKNOWN, uuid, host, f"a guest there is {_words(state)}, and {what}", deleted_at, remedy)


def _duplicate(survey: Survey, instance: SeenInstance, host: str) -> Finding:
    state = survey.guests[host][instance.uuid]
    there = survey.guests.get(instance.host or "", {}).get(instance.uuid)
    others = ", ".join(
        f"{each} ({_words(survey.guests[each][instance.uuid])})" for each in _others(survey, instance, host)
    )
    what = f"a guest there is {_words(state)}, another is on {others}; the database has it on {_named(instance.host)}"
    storages = {survey.storages.get(each) for each in (host, instance.host or "")}
    shares_disk = len(storages) == 1
    remedy: Remedy | None = None
    unmended = None
    if instance.host is not None and None in storages:
        unmended = f"nothing until {host} and {instance.host} have said which storage they have"
    elif there is PowerState.RUNNING:
        remedy = RemoveDuplicate(instance, host, is_off=state in OFF, shares_disk=shares_disk)
    elif there in OFF and _all_are_off(survey, instance):
        remedy = KeepGuest(instance.uuid, host, is_off=True, seen=instance, shares_disk=shares_disk)
    else:
        unmended = (
            "nothing: it does not run where the database has it, so that nobody knows which guest is the right one"
        )
    return Finding(Kind.GUEST_ON_TWO_HOSTS, instance.uuid, host, what, instance.updated_at, remedy, unmended)


def _elsewhere(survey: Survey, instance: SeenInstance, host: str) -> Finding:
    state = survey.guests[host][instance.uuid]
    what = f"the guest there is {_words(state)}, and the database has it on {_named(instance.host)}"
    node = survey.nodes.get(host)
    remedy: PutOnHost | RemoveLeftover | None = None
    unmended = None
    if instance.host is None:
        if state in OFF and not instance.was_launched:
            remedy = RemoveLeftover(instance.uuid, host)
        else:
            unmended = "nothing: it was built there once, or runs; see what is on it, then delete the instance"
    elif not survey.is_certainly_not_on(instance.host, instance.uuid):
        unmended = f"nothing: {instance.host} may have it too, and does not say ({survey.silent[instance.host]})"
    elif state is not PowerState.RUNNING or node is None:
        unmended = f"nothing while it does not run: `nova reboot --hard` starts it on {instance.host}"
    else:
        remedy = PutOnHost(instance, host, node, was_asked=instance.host in survey.guests)
    return Finding(Kind.GUEST_ELSEWHERE, instance.uuid, host, what, instance.updated_at, remedy, unmended)


def _missing(survey: Survey, instance: SeenInstance) -> Finding:
    remedy, unmended = None, None
    if survey.silent:
        unmended = f"nothing while hosts do not say whether they have it: {', '.join(sorted(survey.silent))}"
    elif instance.vm_state is VmState.ACTIVE and instance.host is not None:
        remedy = RebootHard(instance, instance.host)
    else:
        unmended = f"nothing while it is {instance.vm_state}: `nova reboot --hard` makes a guest of its disk"
    what = f"its host has no guest of it, and it is {instance.vm_state}"
    return Finding(Kind.GUEST_MISSING, instance.uuid, instance.host, what, instance.updated_at, remedy, unmended)


def _should_have_guest(survey: Survey, instance: SeenInstance) -> bool:
    return instance.was_launched and instance.host in survey.guests


def _all_are_off(survey: Survey, instance: SeenInstance) -> bool:
    return all(survey.guests[host][instance.uuid] in OFF for host in survey.places[instance.uuid])


def _others(survey: Survey, instance: SeenInstance, host: str) -> Iterator[str]:
    return (each for each in survey.places[instance.uuid] if each != host)


def _named(host: str | None) -> str:
    return "no host" if host is None else host


def _words(state: PowerState) -> str:
    return "off" if state is PowerState.SHUTDOWN else state.name.lower()
