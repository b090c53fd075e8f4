"""/servers/{id}/tags, and lists by tags."""

from urllib.parse import quote

import pytest

from cloud.domain.system_metadata import tags_of, with_tags
from tests.api.conftest import OTHER, PROJECT, Site

NEW = "2.26"


def test_tags_are_added_listed_and_taken_away(site: Site) -> None:
    instance = site.running()
    path = f"/servers/{instance.uuid}/tags"
    assert site.get(path, NEW) == {"tags": []}
    answer = site.ask("PUT", f"/v2.1/{{T}}{path}/red%20one", headers={"X-OpenStack-Nova-API-Version": NEW})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://api:8774/v2.1/{PROJECT}{path}/red%20one"
    site.put(f"{path}/red%20one", None, NEW, status=204)
    site.get(f"{path}/red%20one", NEW, status=204)
    assert site.put(path, {"tags": ["b", "a", "a"]}, NEW) == {"tags": ["a", "b"]}
    site.get(f"{path}/red%20one", NEW, status=404)
    site.delete(f"{path}/a", NEW)
    site.delete(f"{path}/a", NEW, status=404)
    assert site.get(f"/servers/{instance.uuid}", NEW)["server"]["tags"] == ["b"]
    site.delete(path, NEW)
    assert site.get(path, NEW) == {"tags": []}


@pytest.mark.parametrize("tag", ["", "a,b", "a/b", "x" * 61, 5, "a\nb"])
def test_what_is_no_tag_is_400(site: Site, tag: object) -> None:
    path = f"/servers/{site.running().uuid}/tags"
    site.put(path, {"tags": [tag]}, NEW, status=400)
    if isinstance(tag, str) and tag and "/" not in tag:
        site.put(f"{path}/{quote(tag)}", None, NEW, status=400)


def test_there_are_fifty_at_the_most(site: Site) -> None:
    path = f"/servers/{site.running().uuid}/tags"
    site.put(path, {"tags": [str(number) for number in range(51)]}, NEW, status=400)
    site.put(path, {"tags": [str(number) for number in range(50)]}, NEW)
    site.put(f"{path}/more", None, NEW, status=400)


def test_tags_that_others_add_at_the_same_time_are_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/servers/{site.running().uuid}/tags"
    site.put(path, {"tags": ["a"]}, NEW)

    def theirs(tag: str) -> None:
        site.meanwhile(
            monkeypatch, lambda now: {"system_metadata": with_tags(now.system_metadata, (*tags_of(now), tag))}
        )

    theirs("x")
    site.put(f"{path}/b", None, NEW, status=201)
    theirs("y")
    site.delete(f"{path}/a", NEW)
    assert site.get(path, NEW) == {"tags": ["b", "x", "y"]}
    site.put(path, {"tags": [str(number) for number in range(49)]}, NEW)
    theirs("x")
    site.put(f"{path}/more", None, NEW, status=400)
    assert len(site.get(path, NEW)["tags"]) == 50


def test_a_server_that_is_built_gets_no_tags(site: Site) -> None:
    instance = site.boot()
    site.put(f"/servers/{instance.uuid}/tags", {"tags": ["a"]}, NEW, status=409)
    site.put(f"/servers/{instance.uuid}/tags/a", None, NEW, status=409)


def test_another_projects_tags_are_not_there(site: Site) -> None:
    instance = site.running()
    site.get(f"/servers/{instance.uuid}/tags", NEW, token=OTHER, status=404)
    site.put(f"/servers/{instance.uuid}/tags/a", None, NEW, token=OTHER, status=404)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tags=red", ["vm2", "vm1"]),
        ("tags=red,big", ["vm2"]),
        ("tags-any=big,blue", ["vm3", "vm2"]),
        ("not-tags=red,big", ["vm4", "vm3", "vm1"]),
        ("not-tags-any=red,blue", ["vm4"]),
        ("tags=red&not-tags=big", ["vm1"]),
        ("tags=red&limit=1", ["vm2"]),
    ],
)
def test_lists_by_tags(site: Site, query: str, found: list[str]) -> None:
    for name, tags in (("vm1", ["red"]), ("vm2", ["red", "big"]), ("vm3", ["blue"]), ("vm4", [])):
        site.put(f"/servers/{site.running(name).uuid}/tags", {"tags": tags}, NEW)
    assert [server["name"] for server in site.get(f"/servers?{query}", NEW)["servers"]] == found
    site.conf.set_override("osapi_max_limit", 2)
    assert [server["name"] for server in site.get(f"/servers/detail?{query}", NEW)["servers"]] == found[:2]
