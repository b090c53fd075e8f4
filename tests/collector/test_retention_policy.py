import pytest

from cloud.logs.collector.storage.policy import Policy, PolicyError

DAY_S = 86_400

VALID = [
    ("", Policy()),
    ("rest 30d", Policy(dict.fromkeys(range(8), 30 * DAY_S))),
    ("debug 3d, rest 30d, max_gb 50", Policy({**dict.fromkeys(range(8), 30 * DAY_S), 7: 3 * DAY_S}, 50_000_000_000)),
    ("debug 12h,error 2w", Policy({7: 12 * 3600, 3: 14 * DAY_S})),
    ("max_gb 0.5", Policy({}, 500_000_000)),
]


@pytest.mark.parametrize(("text", "expected"), VALID, ids=[text or "empty" for text, _ in VALID])
def test_a_policy_is_read(text: str, expected: Policy) -> None:
    assert Policy.parse(text) == expected


WRONG = [
    ("chatty 3d", "cannot use retention 'chatty 3d': expected emerg, .*, rest or max_gb, and a value"),
    ("debug", "cannot use retention 'debug ': expected an age such as 12h"),
    ("debug 3", "cannot use retention 'debug 3': expected an age"),
    ("debug 0d", "cannot use retention 'debug 0d': expected an age"),
    ("debug -3d", "cannot use retention 'debug -3d': expected an age"),
    ("rest 3d 4d", "cannot use retention 'rest 3d 4d': expected an age"),
    ("debug 3d, debug 4d", "debug stands there twice"),
    ("err 3d, error 4d", "error stands there twice"),
    ("max_gb 0", "cannot use retention 'max_gb 0': expected a number of gigabytes"),
    ("max_gb many", "cannot use retention 'max_gb many': expected a number of gigabytes"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[text for text, _ in WRONG])
def test_what_is_wrong_with_a_policy_is_said(text: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        Policy.parse(text)


def test_only_a_policy_for_all_severities_ever_ends_all_rows() -> None:
    assert Policy.parse("rest 3d, emerg 9d").longest_s == 9 * DAY_S
    assert Policy.parse("debug 3d").longest_s is None
