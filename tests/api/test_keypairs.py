"""os-keypairs: a user's keys, made here or brought along."""

from typing import Any

import pytest

from cloud.services.api.key_material import SSH, X509, fingerprint, generate
from tests.api.conftest import ADMIN, CALLERS, OTHER, PROJECT, Site

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8B9NdL0nvu/LJt7nsJ7Y5yjwUSWHJegK2vrdHNimiw joecool@laptop"
FINGERPRINT = "21:58:c1:50:06:70:d4:a4:c0:e2:1f:d3:91:96:52:c0"


def bring(site: Site, name: str = "k1", version: str | None = "2.1", *, status: int = 200, **more: Any) -> Any:
    body = {"keypair": {"name": name, "public_key": ED25519, **more}}
    return site.post("/os-keypairs", body, version, status=status)


def test_key_that_is_brought_is_shown_and_listed(site: Site) -> None:
    brief = {"name": "k1", "public_key": ED25519, "fingerprint": FINGERPRINT}
    assert bring(site) == {"keypair": {**brief, "user_id": "joecool"}}
    assert site.get("/os-keypairs") == {"keypairs": [{"keypair": brief}]}
    assert site.get("/os-keypairs/k1") == {
        "keypair": {
            **brief,
            "id": 1,
            "user_id": "joecool",
            "created_at": "2014-10-16T12:00:00.000000",
            "updated_at": None,
            "deleted": False,
            "deleted_at": None,
        }
    }


@pytest.mark.parametrize("body", [{"name": "k1"}, {"name": "k1", "public_key": None}])
def test_key_that_is_made_comes_with_its_private_half_once(site: Site, body: dict[str, Any]) -> None:
    made = site.post("/os-keypairs", {"keypair": body}, "2.1", status=200)["keypair"]
    assert set(made) == {"name", "public_key", "fingerprint", "user_id", "private_key"}
    assert made["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert fingerprint(SSH, made["public_key"]) == made["fingerprint"]
    assert "private_key" not in site.get("/os-keypairs/k1")["keypair"]


def test_type_and_status_are_those_of_2_2(site: Site) -> None:
    assert bring(site, version="2.2", status=201)["keypair"]["type"] == "ssh"
    assert site.get("/os-keypairs", "2.2")["keypairs"][0]["keypair"]["type"] == "ssh"
    assert site.get("/os-keypairs/k1", "2.2")["keypair"]["type"] == "ssh"
    assert "type" not in site.get("/os-keypairs/k1", "2.1")["keypair"]
    site.delete("/os-keypairs/k1", "2.2", status=204)
    bring(site)
    site.delete("/os-keypairs/k1", "2.1", status=202)
    bring(site, version=None)
    site.delete("/os-keypairs/k1", status=202)


def test_certificates_are_keys_since_2_2(site: Site) -> None:
    made = site.post("/os-keypairs", {"keypair": {"name": "made", "type": "x509"}}, "2.2", status=201)["keypair"]
    assert made["public_key"].startswith("-----BEGIN CERTIFICATE-----\n")
    assert len(made["fingerprint"].split(":")) == 20
    brought = generate(X509, "joecool")
    body = {"keypair": {"name": "brought", "type": "x509", "public_key": brought.public_key}}
    assert site.post("/os-keypairs", body, "2.10", status=201)["keypair"]["fingerprint"] == brought.fingerprint
    wrong = {"keypair": {"name": "wrong", "type": "x509", "public_key": ED25519}}
    site.post("/os-keypairs", wrong, "2.2", status=400)
    site.post("/os-keypairs", {"keypair": {"name": "early", "type": "x509"}}, "2.1", status=400)
    site.post("/os-keypairs", {"keypair": {"name": "early", "type": "enigma"}}, "2.2", status=400)


def test_key_of_a_deleted_name_may_be_made_again_and_one_that_is_there_is_409(site: Site) -> None:
    bring(site)
    assert set(bring(site, status=409)) == {"conflictingRequest"}
    site.delete("/os-keypairs/k1", status=202)
    site.get("/os-keypairs/k1", status=404)
    site.delete("/os-keypairs/k1", status=404)
    bring(site)


def test_users_have_keys_of_their_own_even_in_one_project(site: Site) -> None:
    bring(site)
    for token in (ADMIN, OTHER):
        assert site.get("/os-keypairs", token=token) == {"keypairs": []}
        site.get("/os-keypairs/k1", token=token, status=404)
        site.delete("/os-keypairs/k1", token=token, status=404)
    site.get("/os-keypairs/k1")


def test_admins_reach_keys_of_others_since_2_10(site: Site) -> None:
    body = {"keypair": {"name": "k1", "public_key": ED25519, "user_id": "joecool"}}
    assert site.post("/os-keypairs", body, "2.10", token=ADMIN, status=201)["keypair"]["user_id"] == "joecool"
    assert len(site.get("/os-keypairs")["keypairs"]) == 1
    assert len(site.get("/os-keypairs?user_id=joecool", "2.10", token=ADMIN)["keypairs"]) == 1
    assert site.get("/os-keypairs?user_id=joecool", "2.9", token=ADMIN) == {"keypairs": []}
    site.get("/os-keypairs/k1?user_id=joecool", "2.10", token=ADMIN)
    site.get("/os-keypairs/k1?user_id=joecool", "2.9", token=ADMIN, status=404)
    site.post("/os-keypairs", body, "2.9", token=ADMIN, status=400)
    site.delete("/os-keypairs/k1?user_id=joecool", "2.9", token=ADMIN, status=404)
    site.delete("/os-keypairs/k1?user_id=joecool", "2.10", token=ADMIN, status=204)
    assert site.get("/os-keypairs") == {"keypairs": []}


def test_members_do_not(site: Site) -> None:
    site.get("/os-keypairs?user_id=admin", "2.10", status=403)
    site.get("/os-keypairs/k1?user_id=admin", "2.10", status=403)
    site.delete("/os-keypairs/k1?user_id=admin", "2.10", status=403)
    body = {"keypair": {"name": "k1", "public_key": ED25519, "user_id": "admin"}}
    site.post("/os-keypairs", body, "2.10", status=403)
    site.get("/os-keypairs?user_id=joecool", "2.10")  # themselves they may name


@pytest.mark.parametrize(("version", "status"), [(None, 413), ("2.1", 403)])
def test_keys_beyond_the_quota_are_refused_as_each_version_does(site: Site, version: str | None, status: int) -> None:
    site.parts.quotas.set(PROJECT, {"key_pairs": 1})
    bring(site)
    answer = bring(site, "k2", version, status=status)
    ((_, error),) = answer.items()
    assert error["message"] == "cannot create key pair k2: quota of key_pairs is 1, 1 are used"
    assert len(site.get("/os-keypairs")["keypairs"]) == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "a/b", "k\u00e9", "a\nb", "k.1", None, 5, {}, []], ids=repr)
def test_name_that_cannot_be_is_400(site: Site, name: object) -> None:
    for version in (None, "2.1", "2.2"):
        site.post("/os-keypairs", {"keypair": {"name": name, "public_key": ED25519}}, version, status=400)
    assert site.get("/os-keypairs") == {"keypairs": []}


def test_spaces_around_a_name_are_stripped_in_2014_and_refused_since_2_1(site: Site) -> None:
    assert bring(site, " k 1 ", None)["keypair"]["name"] == "k 1"
    bring(site, " k2", "2.1", status=400)


@pytest.mark.parametrize(
    "public_key",
    ["", "x", "ssh-rsa AAAAB3NzaC1yc2E test", f"{ED25519}\n{ED25519}", "x" * 20_000, 5, {}, [ED25519], "\u0000"],
    ids=lambda key: repr(key)[:30],
)
def test_public_key_that_is_none_is_400(site: Site, public_key: object) -> None:
    for version in (None, "2.1"):
        answer = site.post("/os-keypairs", {"keypair": {"name": "k1", "public_key": public_key}}, version, status=400)
        assert set(answer) == {"badRequest"}
    assert site.get("/os-keypairs") == {"keypairs": []}


@pytest.mark.parametrize(
    "body", [{}, [], "x", {"keypair": {}}, {"keypair": None}, {"keypair": {"public_key": ED25519}}]
)
def test_body_that_is_no_keypair_is_400(site: Site, body: object) -> None:
    site.post("/os-keypairs", body, "2.1", status=400)


def test_unknown_key_is_400_since_2_1_and_passed_over_before(site: Site) -> None:
    bring(site, colour="red", status=400)
    bring(site, version=None, colour="red")


def test_server_has_the_key_it_was_booted_with(site: Site) -> None:
    bring(site)
    instance = site.boot(key_name="k1")
    site.delete("/os-keypairs/k1", status=202)
    assert site.get(f"/servers/{instance.uuid}")["server"]["key_name"] == "k1"
    assert CALLERS["member"].user_id == instance.user_id
