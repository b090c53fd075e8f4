"""JSON patches of both kinds."""

from typing import Any

import pytest

from cloud.errors import BadRequestError, CloudError, ConflictError, ForbiddenError
from cloud.services.image.change import Change
from cloud.services.image.patch import change_of, read_v20, read_v21
from tests.image.sample import image


@pytest.mark.parametrize(
    "operations",
    [
        read_v21(
            [
                {"op": "replace", "path": "/name", "value": "new"},
                {"op": "add", "path": "/a~1b~0c", "value": "1"},
                {"op": "replace", "path": "/os", "value": "bsd"},
                {"op": "add", "path": "/passing", "value": "2"},
                {"op": "remove", "path": "/passing"},
            ]
        ),
        read_v20(
            [
                {"replace": "/name", "value": "new"},
                {"add": "/a~1b~0c", "value": "1"},
                {"replace": "/os", "value": "bsd"},
                {"add": "/passing", "value": "2"},
                {"remove": "/passing"},
            ]
        ),
    ],
)
def test_steps_come_one_after_the_other(operations: Any) -> None:
    expected = Change({"name": "new"}, {"os": "bsd", "a/b~c": "1"}, purges=True)
    assert change_of(operations, image()) == expected


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        ({"op": "remove", "path": "/name"}, ForbiddenError, "cannot remove name: every image has it"),
        ({"op": "replace", "path": "/id", "value": "x"}, ForbiddenError, "cannot set id: it is read-only"),
        ({"op": "replace", "path": "/status", "value": "active"}, ForbiddenError, "cannot set status: it is read-only"),
        (
            {"op": "add", "path": "/locations", "value": []},
            ForbiddenError,
            "cannot set locations: the name is reserved",
        ),
        ({"op": "remove", "path": "/nonesuch"}, ConflictError, "cannot remove property nonesuch: there is none"),
        ({"op": "replace", "path": "/nonesuch", "value": "x"}, ConflictError, "cannot replace property nonesuch"),
        ({"op": "replace", "path": "/name", "value": 7}, BadRequestError, "invalid value for name"),
        ({"op": "add", "path": "/new", "value": {}}, BadRequestError, "invalid value for new: a property is a string"),
        ({"op": "add", "path": "/new"}, BadRequestError, "a step of a patch that is to add has a value"),
        ({"op": "move", "from": "/os", "path": "/new"}, BadRequestError, "a step of a patch is add, replace or remove"),
        ({"op": ["add"], "path": "/new", "value": "x"}, BadRequestError, "a step of a patch is add, replace or remove"),
        ({"path": "/new", "value": "x"}, BadRequestError, "a step of a patch is add, replace or remove"),
        ({"op": "add", "path": "new", "value": "x"}, BadRequestError, "a step of a patch has a path"),
        ({"op": "add", "path": 7, "value": "x"}, BadRequestError, "a step of a patch has a path"),
        ({"op": "add", "path": "/", "value": "x"}, BadRequestError, "a property's name is 1 to 255 characters"),
        ({"op": "add", "path": "/tags/-", "value": "x"}, BadRequestError, "a step of a patch names an attribute"),
        ({"op": "add", "path": "/a~2", "value": "x"}, BadRequestError, "a step of a patch names an attribute"),
    ],
)
def test_steps_that_cannot_be(step: dict[str, Any], error: type[CloudError], message: str) -> None:
    with pytest.raises(error) as raised:
        change_of(read_v21([step]), image())
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("steps", [None, {}, "x", [1], [None], [[]], [{"op": "remove", "path": "/os"}] * 257])
def test_what_is_no_patch(steps: object) -> None:
    with pytest.raises(BadRequestError):
        read_v21(steps)


@pytest.mark.parametrize(
    "step", [{}, {"add": "/a", "remove": "/a", "value": "x"}, {"op": "add", "path": "/a", "value": "x"}]
)
def test_what_is_no_step_of_the_old_kind(step: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        read_v20([step])
