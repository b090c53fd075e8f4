"""What is expected of an instance, as it travels."""

import json

import pytest

from cloud.domain.expected import ANY, Expected
from cloud.domain.instance import TaskState, VmState


def test_expectation_arrives_as_it_was_sent() -> None:
    expected = Expected(vm_states=(VmState.ACTIVE, VmState.ERROR), task_states=(None, TaskState.DELETING), host="a")
    values = expected.as_dict()
    assert values == {"vm_states": ["active", "error"], "task_states": [None, "deleting"], "host": "a"}
    assert Expected.from_dict(json.loads(json.dumps(values))) == expected
    assert Expected.from_dict(json.loads(json.dumps(ANY.as_dict()))) == ANY


def test_unknown_state_or_key_is_refused() -> None:
    for values in ({"vm_states": ["wobbly"]}, {"task_states": ["dancing"]}):
        with pytest.raises(ValueError, match="is not a valid"):
            Expected.from_dict(values)
    with pytest.raises(TypeError):
        Expected.from_dict({"colour": "red"})
