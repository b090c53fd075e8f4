"""What ends a token before its time, on both databases: at once, and for good."""

from collections.abc import Callable

import pytest

from cloud.services.identity.tokens import TokenSigner
from tests.db.conftest import Clock
from tests.identity.site import KEY, Site

End = Callable[[Site, str], None]


def put_user(site: Site, admin: str, path: str, body: dict[str, object]) -> None:
    answer = site.ask("PUT", f"/v2.0/users/{site.users['alice'].id}{path}", admin, {"user": body})
    assert answer.status_code == 200


def change_own_password(site: Site, admin: str) -> None:
    body = {"user": {"original_password": "alice-pw", "password": "another-pw"}}
    token = site.token("alice")
    answer = site.ask("POST", f"/v3/users/{site.users['alice'].id}/password", token, body)
    assert answer.status_code == 204
    assert site.sign_in("alice", "red").status_code == 401
    assert site.sign_in("alice", "red", "another-pw").status_code == 200


def reset_password(site: Site, admin: str) -> None:
    put_user(site, admin, "/OS-KSADM/password", {"password": "another-pw"})


def reset_password_in_v3(site: Site, admin: str) -> None:
    body = {"user": {"password": "another-pw"}}
    assert site.ask("PATCH", f"/v3/users/{site.users['alice'].id}", admin, body).status_code == 200


def disable(site: Site, admin: str) -> None:
    put_user(site, admin, "/OS-KSADM/enabled", {"enabled": False})


def disable_and_enable(site: Site, admin: str) -> None:
    for is_enabled in (False, True):
        put_user(site, admin, "", {"enabled": is_enabled})


def delete_user(site: Site, admin: str) -> None:
    assert site.ask("DELETE", f"/v2.0/users/{site.users['alice'].id}", admin).status_code == 204


def take_role_away(site: Site, admin: str) -> None:
    site.give("alice", "red", "other")
    red, alice, member = site.project("red").id, site.users["alice"].id, site.role("member").id
    path = f"/v2.0/tenants/{red}/users/{alice}/roles/OS-KSADM/{member}"
    assert site.ask("DELETE", path, admin).status_code == 204


def delete_role(site: Site, admin: str) -> None:
    site.give("alice", "red", "other")
    assert site.ask("DELETE", f"/v3/roles/{site.role('other').id}", admin).status_code == 204


ENDS_ALL: list[End] = [
    change_own_password,
    reset_password,
    reset_password_in_v3,
    disable,
    disable_and_enable,
    delete_user,
    take_role_away,
    delete_role,
]


@pytest.mark.parametrize("end", ENDS_ALL, ids=lambda end: end.__name__)
def test_all_tokens_of_the_user_end_and_nobody_elses(site: Site, end: End) -> None:
    admin, bob = site.token("admin", "admin"), site.token("bob", "blue")
    tokens = [site.token("alice", "red"), site.token("alice", "red"), site.token("alice")]
    assert [site.is_good(token) for token in tokens] == [True] * 3
    end(site, admin)
    assert [site.is_good(token) for token in tokens] == [False] * 3
    assert site.http.post("/v2.0/tokens", json={"auth": {"token": {"id": tokens[2]}}}).status_code == 401
    assert (site.is_good(admin), site.is_good(bob)) == (True, True)


def disable_project(site: Site, admin: str) -> None:
    body = {"tenant": {"enabled": False}}
    assert site.ask("POST", f"/v2.0/tenants/{site.project('red').id}", admin, body).status_code == 200


def disable_and_enable_project(site: Site, admin: str) -> None:
    for is_enabled in (False, True):
        body = {"project": {"enabled": is_enabled}}
        assert site.ask("PATCH", f"/v3/projects/{site.project('red').id}", admin, body).status_code == 200


def delete_project(site: Site, admin: str) -> None:
    assert site.ask("DELETE", f"/v2.0/tenants/{site.project('red').id}", admin).status_code == 204


@pytest.mark.parametrize(
    "end", [disable_project, disable_and_enable_project, delete_project], ids=lambda end: end.__name__
)
def test_tokens_for_a_project_end_with_it_and_others_of_the_user_do_not(site: Site, end: End) -> None:
    site.give("alice", "blue", "member")
    admin = site.token("admin", "admin")
    ended = site.token("alice", "red")
    others = [site.token("alice", "blue"), site.token("alice")]
    end(site, admin)
    assert not site.is_good(ended)
    assert [site.is_good(token) for token in others] == [True, True]


def test_one_token_is_ended_by_its_user_or_by_an_admin(site: Site, clock: Clock) -> None:
    admin, bob = site.token("admin", "admin"), site.token("bob", "blue")
    by_itself, by_another, by_admin, kept = (site.token("alice", "red") for _ in range(4))
    assert site.ask("DELETE", f"/v2.0/tokens/{by_itself}", by_itself).status_code == 204
    assert site.ask("DELETE", "/v3/auth/tokens", kept, X_Subject_Token=by_another).status_code == 204
    assert site.ask("DELETE", "/v3/auth/tokens", admin, X_Subject_Token=by_admin).status_code == 204
    assert [site.is_good(token) for token in (by_itself, by_another, by_admin, kept)] == [False, False, False, True]
    for asking, token in ((bob, kept), (admin, by_itself), (admin, "nonsense"), (bob, "nonsense")):
        answer = site.ask("DELETE", f"/v2.0/tokens/{token}", asking)
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            404,
            "cannot find the token: it is not, or no longer, good",
        )
    assert site.is_good(kept)


def test_what_is_known_of_ended_tokens_is_forgotten_when_they_would_have_expired(site: Site, clock: Clock) -> None:
    token = site.token("alice", "red")
    site.ask("DELETE", f"/v2.0/tokens/{token}", token)
    clock.advance(3599)
    site.identity.authority.forget_expired()
    assert not site.is_good(token)
    clock.advance(2)
    site.identity.authority.forget_expired()
    assert not site.is_good(token)


def test_token_of_a_key_that_is_not_ours_is_not_good(site: Site) -> None:
    token = site.token("alice", "red")
    content = TokenSigner(KEY).read(token)
    assert content is not None
    assert site.is_good(TokenSigner(KEY).sign(content))
    assert not site.is_good(TokenSigner(bytes(32)).sign(content))
