"""How long memory takes to another host, and what is left of it when more is dirtied meanwhile."""

import pytest

from cloud.virt.simulated.stream import Stream, percent


def test_a_stream_ends_when_all_has_gone() -> None:
    stream = Stream(1000)
    stream.advance(1.0, bytes_per_s=400)
    assert (stream.processed_bytes, stream.remaining_bytes) == (400, 600)
    stream.advance(2.0, bytes_per_s=400)
    assert (stream.processed_bytes, stream.remaining_bytes) == (1000, 0)
    stream.advance(1.0, bytes_per_s=400)
    assert (stream.processed_bytes, stream.remaining_bytes) == (1000, 0)


def test_what_is_dirtied_is_sent_again() -> None:
    stream = Stream(1000)
    stream.advance(1.0, bytes_per_s=400, dirty_bytes_per_s=100)
    assert (stream.processed_bytes, stream.remaining_bytes) == (400, 700)
    stream.advance(5.0, bytes_per_s=400, dirty_bytes_per_s=50)  # after two seconds nothing is left
    assert (stream.processed_bytes, stream.remaining_bytes) == (1200, 0)


@pytest.mark.parametrize("dirty_bytes_per_s", [400, 5000])
def test_a_stream_that_is_dirtied_faster_than_it_goes_does_not_end(dirty_bytes_per_s: float) -> None:
    stream = Stream(1000)
    for _ in range(10):
        stream.advance(10.0, bytes_per_s=400, dirty_bytes_per_s=dirty_bytes_per_s)
    assert stream.remaining_bytes == 1000
    assert stream.processed_bytes == 40_000


def test_a_guest_is_stopped_for_what_takes_no_longer_than_it_may_stand_still() -> None:
    assert Stream(300).fits_downtime(1000)
    assert not Stream(301).fits_downtime(1000)


def test_progress_is_of_all_that_goes() -> None:
    disk, memory = Stream(700), Stream(300)
    assert percent(disk, memory) == 0
    disk.advance(1.0, bytes_per_s=699)
    assert percent(disk, memory) == 69
    disk.advance(1.0, bytes_per_s=1)
    memory.advance(1.0, bytes_per_s=300)
    assert percent(disk, memory) == 100
    assert percent(Stream(0)) == 100
