"""What the bus may call."""

import pytest

from cloud.rpc.errors import BadMessageError, NoSuchMethodError
from cloud.rpc.methods import invoke, methods_of, rpc_method


class Base:
    @rpc_method
    def add(self, one: int, two: int = 2) -> int:
        return one + two

    def secret(self) -> str:
        return "secret"

    @property
    def broken(self) -> str:
        raise AssertionError("looking for methods must not run properties")


class Child(Base):
    @rpc_method
    def keyword(self, *, name: str) -> str:
        return name

    @rpc_method
    def anything(self, **arguments: object) -> int:
        return len(arguments)


class Shadowing(Base):
    def add(self, one: int, two: int = 2) -> int:
        return 0


def test_only_marked_methods_are_offered() -> None:
    assert sorted(methods_of(Child())) == ["add", "anything", "keyword"]
    assert methods_of(Shadowing()) == {}
    assert sorted(methods_of(Base(), type("Other", (), {"more": rpc_method(lambda self: 1)})())) == ["add", "more"]


def test_two_endpoints_with_the_same_method_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^two endpoints offer add$"):
        methods_of(Base(), Child())


def test_a_method_gets_its_arguments_by_name() -> None:
    methods = methods_of(Child())
    assert invoke(methods, "add", {"one": 1}) == 3
    assert invoke(methods, "add", {"one": 1, "two": 1}) == 2
    assert invoke(methods, "keyword", {"name": "x"}) == "x"
    assert invoke(methods, "anything", {"methods": 1, "name": 2, "self_": 3}) == 3


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("add", {}, "cannot call add: missing a required argument: 'one'"),
        ("add", {"one": 1, "x": 2}, "cannot call add: got an unexpected keyword argument 'x'"),
        ("add", {"self": 1, "one": 1}, "cannot call add: got an unexpected keyword argument 'self'"),
        ("keyword", {}, "cannot call keyword: missing a required argument: 'name'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_call(
    name: str, arguments: dict[str, object], error: str
) -> None:
    with pytest.raises(BadMessageError, match=f"^{error}$"):
        invoke(methods_of(Child()), name, arguments)


@pytest.mark.parametrize("name", ["secret", "broken", "__init__", "__class__", "", "add.__func__"])
def test_what_is_not_offered_cannot_be_called(name: str) -> None:
    with pytest.raises(NoSuchMethodError, match=f"^cannot call {name}: there is no such method$"):
        invoke(methods_of(Child()), name, {})


def test_an_error_of_the_method_is_its_own() -> None:
    def fails() -> None:
        raise TypeError("inside")

    with pytest.raises(TypeError, match=r"^inside$"):
        invoke({"fails": fails}, "fails", {})
