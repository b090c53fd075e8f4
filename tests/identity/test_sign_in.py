"""What signing in says in the log, how often one may guess, and that no secret stands in any line."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cloud.db.engine import open_database
from cloud.db.schema import sync
from tests.db.conftest import LIMITS, Clock
from tests.identity.site import CHEAP, Site
from tests.services.said import Line
from tests.waiting import wait_until


def said(lines: list[Line], message: str) -> list[dict[str, Any]]:
    return [{"level": level, **fields} for level, text, fields in lines if text == message]


def test_signing_in_says_who_from_where_for_what(local_site: Site, lines: list[Line]) -> None:
    site = local_site
    answer = site.sign_in("alice", "red").json()["access"]
    assert said(lines, "signed in") == [
        {
            "level": "INFO",
            "user": site.users["alice"].id,
            "project": site.project("red").id,
            "peer": "127.0.0.1",
            "method": "password",
            "audit_id": answer["token"]["audit_ids"][0],
        }
    ]


def test_refusal_says_the_reason_that_the_client_is_not_told(local_site: Site, lines: list[Line]) -> None:
    site = local_site
    site.user("carol", "red", is_enabled=False)
    alice, carol = site.users["alice"].id, site.users["carol"].id
    site.sign_in("alice", "red", "wrong")
    site.sign_in("nobody", "red")
    site.sign_in("carol", "red")
    site.sign_in("alice", "blue")
    site.http.post("/v2.0/tokens", json={"auth": {"token": {"id": "nonsense"}}})
    shown = [(line["level"], line.get("user"), line["reason"]) for line in said(lines, "sign-in refused")]
    assert shown == [
        ("WARNING", alice, "wrong password"),
        ("WARNING", None, "unknown user"),
        ("WARNING", carol, "user is disabled"),
        ("WARNING", alice, "no role in the project"),
        ("WARNING", None, "bad token"),
    ]


def test_no_password_and_no_token_is_in_any_line_nor_in_any_refusal(local_site: Site, lines: list[Line]) -> None:
    site = local_site
    admin, alice, bob = site.token("admin", "admin"), site.token("alice", "red"), site.token("bob", "blue")
    secrets = {"hunter2", "hunter3", "alice-pw", "admin-pw", "bob-pw", admin, alice, bob}
    users = {name: user.id for name, user in site.users.items()}
    answers: list[httpx.Response] = [
        site.sign_in("alice", "red", "hunter2"),
        site.sign_in("hunter2", "red", "hunter3"),
        site.sign_in("alice", "hunter2"),
        site.http.post(
            "/v2.0/tokens", json={"auth": {"passwordCredentials": {"username": "a", "password": ["hunter2"]}}}
        ),
        site.http.post("/v2.0/tokens", content=b'{"auth": "hunter2', headers={"Content-Type": "application/json"}),
        site.http.post("/v2.0/tokens", json={"auth": {"token": {"id": bob}, "tenantName": "red"}}),
        site.ask("GET", f"/v2.0/tokens/{alice}", bob),
        site.ask("GET", f"/v2.0/tokens/{alice}x", admin),
        site.ask("GET", f"/v2.0/tokens/{alice}/nowhere", admin),
        site.ask("GET", f"/v2.0/tokens/{alice}/endpoints", bob),
        site.ask("PATCH", f"/v2.0/tokens/{alice}", admin),
        site.ask("HEAD", f"/v2.0/tokens/{alice}?belongsTo=x", admin),
        site.ask("GET", "/v3/auth/tokens", bob, X_Subject_Token=alice),
        site.ask("GET", "/v3/auth/tokens", f"{alice}x"),
        site.ask("POST", "/v2.0/users", admin, {"user": {"name": "alice", "password": "hunter2"}}),
        site.ask("POST", "/v2.0/users", admin, {"user": {"name": 5, "password": "hunter2"}}),
        site.ask("PUT", f"/v2.0/users/{users['bob']}/OS-KSADM/password", alice, {"user": {"password": "hunter2"}}),
        site.ask(
            "POST",
            f"/v3/users/{users['alice']}/password",
            alice,
            {"user": {"original_password": "hunter2", "password": "hunter3"}},
        ),
    ]
    assert {answer.status_code for answer in answers} <= {400, 401, 403, 404, 405, 409}
    site.ask("PUT", f"/v2.0/users/{users['bob']}/OS-KSADM/password", admin, {"user": {"password": "hunter2"}})
    site.ask("DELETE", f"/v2.0/tokens/{alice}", admin)
    wait_until(lambda: len(said(lines, "request answered")) == len(answers) + 5, what="the last line")
    everything = repr(lines) + "".join(answer.text + repr(answer.headers) for answer in answers)
    assert [secret for secret in sorted(secrets) if secret in everything] == []


def test_too_many_wrong_passwords_are_told_to_wait_and_the_right_one_too(local_site: Site, lines: list[Line]) -> None:
    site = local_site
    answers = [site.sign_in("alice", "red", "wrong") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].headers["retry-after"] == "6"
    assert answers[-1].json() == {
        "error": {
            "code": 429,
            "title": "Too Many Requests",
            "message": "too many wrong passwords; try again in 6 s",
        }
    }
    assert said(lines, "sign-in refused")[-1]["reason"] == "too many wrong passwords"
    assert site.sign_in("alice", "red").status_code == 429
    assert site.sign_in("bob", "blue").status_code == 200
    site.seconds.now_s += 6
    assert site.sign_in("alice", "red").status_code == 200
    answers = [site.sign_in("alice", "red", "wrong") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


def test_unknown_user_is_throttled_as_a_known_one_is(local_site: Site) -> None:
    assert [local_site.sign_in("nobody").status_code for _ in range(11)] == [401] * 10 + [429]


def test_user_is_the_same_one_by_name_by_id_and_in_either_version(local_site: Site) -> None:
    site = local_site
    by_id = {"id": site.users["alice"].id, "password": "wrong"}
    by_name = {"name": "alice", "domain": {"id": "default"}, "password": "wrong"}
    statuses = []
    for user in [by_id, by_name] * 4:
        identity = {"methods": ["password"], "password": {"user": user}}
        statuses.append(site.http.post("/v3/auth/tokens", json={"auth": {"identity": identity}}).status_code)
    statuses += [site.sign_in("alice", password="wrong").status_code for _ in range(3)]
    assert statuses == [401] * 10 + [429]


def test_guesses_of_the_old_password_count_as_well(local_site: Site) -> None:
    site = local_site
    token, path = site.token("alice"), f"/v3/users/{site.users['alice'].id}/password"
    body = {"user": {"original_password": "wrong", "password": "another-pw"}}
    statuses = [site.ask("POST", path, token, body).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_address_that_guesses_for_many_users_has_to_wait(local_site: Site) -> None:
    statuses = [local_site.sign_in(f"user{number}").status_code for number in range(52)]
    assert statuses == [401] * 50 + [429] * 2
    assert local_site.sign_in("alice").status_code == 429


def test_many_who_sign_in_at_once_all_come_in(local_site: Site) -> None:
    site = local_site
    statuses: list[int] = []

    def sign_in() -> None:
        with httpx.Client(base_url=site.server.url, trust_env=False, timeout=60) as client:
            auth = {"passwordCredentials": {"username": "alice", "password": "alice-pw"}, "tenantName": "red"}
            statuses.append(client.post("/v2.0/tokens", json={"auth": auth}).status_code)

    in_threads(sign_in, 40)
    assert statuses == [200] * 40


def test_many_who_guess_at_once_get_few_guesses_more(local_site: Site) -> None:
    site = local_site
    statuses: list[int] = []

    def guess() -> None:
        with httpx.Client(base_url=site.server.url, trust_env=False, timeout=60) as client:
            auth = {"passwordCredentials": {"username": "alice", "password": "wrong"}}
            statuses.append(client.post("/v2.0/tokens", json={"auth": auth}).status_code)

    in_threads(guess, 40)
    assert set(statuses) == {401, 429}
    assert 10 <= statuses.count(401) <= 11  # two are checked at a time


def in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_database_that_is_away_is_told_without_its_name(tmp_path: Any, clock: Clock, lines: list[Line]) -> None:
    file = tmp_path / "identity.db"
    with open_database(f"sqlite:///{file}", LIMITS) as database:
        sync(database)
        with Site(database, clock, hasher=CHEAP) as site:
            token = site.token("alice", "red")
            database.close()
            file.rename(tmp_path / "away.db")
            file.mkdir()
            for answer in (site.sign_in("alice", "red"), site.ask("GET", "/v3/auth/projects", token)):
                assert answer.status_code == 503
                assert answer.json()["error"]["message"].endswith("; try again later")
                assert "identity.db" not in answer.text
            file.rmdir()
            (tmp_path / "away.db").rename(file)
            assert site.is_good(token)
    assert len(said(lines, "cannot use the database")) == 2
    assert str(file) in said(lines, "cannot use the database")[0]["error"]


@pytest.mark.parametrize("name", ["x" * 255, "ü", "'; --", "%s", "alice "])
def test_strange_names_are_nobodys(local_site: Site, name: str) -> None:
    assert local_site.sign_in(name).status_code == 401
