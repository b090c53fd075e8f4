"""/servers/{id}/metadata."""

import pytest

from cloud.domain.instance import VmState
from tests.api.conftest import ADMIN, PROJECT, Site


def test_items_are_added_replaced_and_taken_away(site: Site) -> None:
    path = f"/servers/{site.running(metadata={'a': '1'}).uuid}/metadata"
    assert site.get(path) == {"metadata": {"a": "1"}}
    assert site.post(path, {"metadata": {"b": "2"}}, status=200) == {"metadata": {"a": "1", "b": "2"}}
    assert site.put(f"{path}/a", {"meta": {"a": "3"}}) == {"meta": {"a": "3"}}
    assert site.get(f"{path}/a") == {"meta": {"a": "3"}}
    assert site.put(path, {"metadata": {"c": "4"}}) == {"metadata": {"c": "4"}}
    site.delete(f"{path}/c")
    assert site.get(path) == {"metadata": {}}


@pytest.mark.parametrize("version", [None, "2.1"])
def test_what_makes_no_sense_is_400(site: Site, version: str | None) -> None:
    path = f"/servers/{site.running().uuid}/metadata"
    for body in (
        {},
        {"metadata": None},
        {"metadata": {"": "x"}},
        {"metadata": {"a": None}},
        {"metadata": {"a": "x" * 256}},
    ):
        site.post(path, body, version, status=400)
        site.put(path, body, version, status=400)
    items: list[object] = [{"meta": {}}, {"meta": {"a": "1", "b": "2"}}, {"meta": {"b": "2"}}, {"a": "1"}]
    for item in items:
        site.put(f"{path}/a", item, version, status=400)


def test_what_others_write_at_the_same_time_is_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = site.running(metadata={"a": "1"})
    path = f"/servers/{instance.uuid}/metadata"

    def theirs(name: str) -> None:
        site.meanwhile(monkeypatch, lambda now: {"metadata": {**now.metadata, name: "theirs"}})

    theirs("x")
    site.post(path, {"metadata": {"b": "2"}}, status=200)
    theirs("y")
    site.put(f"{path}/c", {"meta": {"c": "3"}})
    theirs("z")
    site.delete(f"{path}/a")
    kept = {"x": "theirs", "y": "theirs", "z": "theirs"}
    assert site.parts.instances.get(instance.uuid).metadata == {"b": "2", "c": "3", **kept}


def test_the_quota_holds_for_those_that_come_at_the_same_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.parts.quotas.set(PROJECT, {"metadata_items": 1})
    instance = site.running()
    site.meanwhile(monkeypatch, lambda _: {"metadata": {"x": "theirs"}})
    site.post(f"/servers/{instance.uuid}/metadata", {"metadata": {"b": "2"}}, "2.1", status=403)
    assert site.parts.instances.get(instance.uuid).metadata == {"x": "theirs"}


def test_what_is_not_there_is_404(site: Site) -> None:
    path = f"/servers/{site.running().uuid}/metadata"
    site.get(f"{path}/a", status=404)
    site.delete(f"{path}/a", status=404)


def test_more_items_than_the_quota_allows_are_refused(site: Site) -> None:
    site.parts.quotas.set(PROJECT, {"metadata_items": 1})
    path = f"/servers/{site.running(metadata={'a': '1'}).uuid}/metadata"
    site.post(path, {"metadata": {"b": "2"}}, status=413)
    site.post(path, {"metadata": {"b": "2"}}, "2.1", status=403)
    site.put(f"{path}/b", {"meta": {"b": "2"}}, "2.1", status=403)
    assert site.get(path) == {"metadata": {"a": "1"}}


def test_states_and_locks_are_heeded(site: Site) -> None:
    building = site.boot()
    answer = site.post(f"/servers/{building.uuid}/metadata", {"metadata": {"a": "1"}}, status=409)
    message = f"Cannot 'update metadata' instance {building.uuid} while it is in vm_state building"
    assert answer["conflictingRequest"]["message"] == message
    locked = site.running(locked_by="owner", vm_state=VmState.STOPPED)
    site.put(f"/servers/{locked.uuid}/metadata", {"metadata": {"a": "1"}}, status=409)
    site.put(f"/servers/{locked.uuid}/metadata", {"metadata": {"a": "1"}}, token=ADMIN)
