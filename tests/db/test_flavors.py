"""The table of flavors, alike on SQLite and PostgreSQL."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cloud.db.engine import Database
from cloud.db.flavors import FlavorTable
from cloud.domain.flavor import Flavor
from cloud.errors import BadRequestError, ConflictError, FlavorNotFoundError, NotFoundError
from tests.db.conftest import Clock
from tests.db.making import at_once, failures

TINY = Flavor(id=0, flavorid="7", name="tiny", memory_mb=64, vcpus=1, root_gb=0)


@pytest.fixture
def flavors(database: Database, clock: Clock) -> FlavorTable:
    return FlavorTable(database, clock)


def names(found: tuple[Flavor, ...]) -> list[str]:
    return [flavor.name for flavor in found]


def test_flavor_comes_back_as_it_was_made(flavors: FlavorTable) -> None:
    new = Flavor(
        id=99,
        flavorid="gpu-1",
        name="g1.large",
        memory_mb=8192,
        vcpus=4,
        root_gb=80,
        ephemeral_gb=20,
        swap_mb=512,
        rxtx_factor=1.5,
        is_public=False,
        extra_specs={"gpu": "1"},
    )
    made = flavors.create(new)
    assert made == replace(new, id=1)
    assert flavors.get("gpu-1") == made


def test_seed_is_novas_five_and_may_be_repeated(flavors: FlavorTable) -> None:
    assert names(flavors.seed()) == ["m1.tiny", "m1.small", "m1.medium", "m1.large", "m1.xlarge"]
    assert flavors.seed() == ()
    shown = [(f.flavorid, f.name, f.memory_mb, f.vcpus, f.root_gb, f.is_public) for f in flavors.all()]
    assert shown == [
        ("1", "m1.tiny", 512, 1, 1, True),
        ("2", "m1.small", 2048, 1, 20, True),
        ("3", "m1.medium", 4096, 2, 40, True),
        ("4", "m1.large", 8192, 4, 80, True),
        ("5", "m1.xlarge", 16384, 8, 160, True),
    ]


def test_seed_leaves_alone_what_an_admin_has_put_in_its_place(flavors: FlavorTable) -> None:
    flavors.create(replace(TINY, flavorid="1"))
    flavors.create(replace(TINY, flavorid="x", name="m1.small"))
    assert names(flavors.seed()) == ["m1.medium", "m1.large", "m1.xlarge"]
    assert flavors.get("1").memory_mb == 64


def test_seeds_that_meet_enter_each_once(flavors: FlavorTable) -> None:
    done = at_once(10, lambda _number: flavors.seed())
    assert failures(done) == []
    assert sorted(len(future.result()) for future in done) == [0] * 9 + [5]


def test_id_and_name_are_used_once(flavors: FlavorTable) -> None:
    flavors.create(TINY)
    with pytest.raises(ConflictError, match="cannot create flavor other: there is one with id 7"):
        flavors.create(replace(TINY, name="other"))
    with pytest.raises(ConflictError, match="cannot create flavor tiny: there is one with name tiny"):
        flavors.create(replace(TINY, flavorid="8"))
    flavors.delete("7")
    assert flavors.create(TINY).flavorid == "7"


def test_what_is_not_there_is_not_found(flavors: FlavorTable) -> None:
    asks: tuple[Callable[[str], object], ...] = (
        flavors.get,
        flavors.delete,
        flavors.access,
        lambda flavorid: flavors.set_extra_specs(flavorid, {"a": "b"}),
        lambda flavorid: flavors.delete_extra_spec(flavorid, "a"),
        lambda flavorid: flavors.add_access(flavorid, "p1"),
        lambda flavorid: flavors.remove_access(flavorid, "p1"),
    )
    for ask in asks:
        for flavorid in ("9", "", "x\x00", "\ud800", "f" * 300):
            with pytest.raises(FlavorNotFoundError, match="cannot find flavor"):
                ask(flavorid)


def test_flavor_that_is_not_public_is_seen_by_who_has_access(flavors: FlavorTable) -> None:
    flavors.create(TINY)
    flavors.create(replace(TINY, flavorid="8", name="secret", is_public=False))
    assert names(flavors.all(project_id="p1")) == ["tiny"]
    with pytest.raises(FlavorNotFoundError):
        flavors.get("8", "p1")
    assert flavors.add_access("8", "p2") == ("p2",)
    assert flavors.add_access("8", "p1") == ("p1", "p2")
    assert flavors.get("8", "p1").name == "secret"
    assert names(flavors.all(project_id="p1")) == ["tiny", "secret"]
    assert names(flavors.all()) == ["tiny", "secret"]
    assert names(flavors.all(is_public=False)) == ["secret"]
    assert names(flavors.all(is_public=True, project_id="p1")) == ["tiny"]
    assert names(flavors.all(is_public=False, project_id="p3")) == []
    assert flavors.remove_access("8", "p1") == ("p2",)
    assert flavors.access("8") == ("p2",)
    assert names(flavors.all(project_id="p1")) == ["tiny"]


def test_access_that_makes_no_sense_is_refused(flavors: FlavorTable) -> None:
    flavors.create(TINY)
    flavors.create(replace(TINY, flavorid="8", name="secret", is_public=False))
    assert flavors.add_access("7", "p1") == ("p1",)
    for project_id in ("p1", "p\x00"):
        flavors.add_access("8", project_id)
        with pytest.raises(ConflictError, match="it may use it already"):
            flavors.add_access("8", project_id)
    with pytest.raises(NotFoundError, match="cannot remove project p3 from flavor 8: it is not in there"):
        flavors.remove_access("8", "p3")
    with pytest.raises(BadRequestError, match="cannot store project_id: it has more than 255 characters"):
        flavors.add_access("8", "p" * 256)


def test_deletion_takes_access_along(flavors: FlavorTable) -> None:
    secret = replace(TINY, is_public=False)
    flavors.create(secret)
    flavors.add_access("7", "p1")
    flavors.delete("7")
    flavors.create(secret)
    assert flavors.access("7") == ()


def test_extra_specs_are_merged_and_removed_one_by_one(flavors: FlavorTable) -> None:
    flavors.create(TINY)
    assert flavors.set_extra_specs("7", {"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert flavors.set_extra_specs("7", {"b": "3", "n\x00": "\x00"}) == {"a": "1", "b": "3", "n\x00": "\x00"}
    assert flavors.delete_extra_spec("7", "a") == {"b": "3", "n\x00": "\x00"}
    assert flavors.get("7").extra_specs == {"b": "3", "n\x00": "\x00"}
    with pytest.raises(NotFoundError, match="cannot find extra spec a of flavor 7"):
        flavors.delete_extra_spec("7", "a")


def test_extra_specs_that_are_set_at_once_are_all_kept(flavors: FlavorTable) -> None:
    flavors.create(TINY)
    done = at_once(20, lambda number: flavors.set_extra_specs("7", {f"key-{number}": "x"}))
    assert failures(done) == []
    assert len(flavors.get("7").extra_specs) == 20


def test_numbers_and_texts_beyond_a_column_are_refused(flavors: FlavorTable) -> None:
    for flavor in (
        replace(TINY, memory_mb=2**31),
        replace(TINY, root_gb=2**70),
        replace(TINY, vcpus=-(2**31)),
        replace(TINY, name="n" * 256),
        replace(TINY, flavorid="f" * 256),
    ):
        with pytest.raises(BadRequestError, match="cannot store"):
            flavors.create(flavor)
    assert flavors.create(replace(TINY, memory_mb=2**31 - 1)).memory_mb == 2**31 - 1


def test_flavors_come_by_id_whatever_the_locale(flavors: FlavorTable) -> None:
    for flavorid in ("b", "B", "10", "9", "a"):
        flavors.create(replace(TINY, flavorid=flavorid, name=flavorid))
    assert names(flavors.all()) == ["10", "9", "B", "a", "b"]
