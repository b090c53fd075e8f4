"""The summary that decides the exit code of `cloud up --once`."""

from cloud.up.agreement import comparison


def test_equal_counts_are_listed_with_their_sum() -> None:
    counts = {("nova-compute", "info"): 902, ("nova-api", "info"): 1060}
    assert list(comparison(counts, counts)) == [
        "service              severity       sent   stored",
        "nova-api             info           1060     1060",
        "nova-compute         info            902      902",
        "all                                 1962     1962",
    ]


def test_what_differs_is_marked_whichever_side_has_more() -> None:
    sent = {("nova-api", "info"): 2, ("nova-cert", "err"): 1}
    stored = {("nova-api", "info"): 1, ("nova-cert", "err"): 1, ("nova-api", "debug"): 3}
    assert list(comparison(sent, stored))[1:] == [
        "nova-api             debug             0        3  differs",
        "nova-api             info              2        1  differs",
        "nova-cert            err               1        1",
        "all                                    3        5",
    ]
