from pathlib import Path

import pytest

from cloud.logs.collector import compiled
from cloud.logs.collector.precompile import compile_elsewhere


@pytest.fixture(autouse=True)
def _new_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # the other process calls the kernels all the same, in an instant
    monkeypatch.setattr(compiled, "_CACHE", compiled._cache_directory())


def test_another_process_compiles_all_that_no_start_has() -> None:
    assert not compiled.is_complete()
    compile_elsewhere()
    assert compiled.is_complete()


def test_nothing_is_done_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled.set_complete()
    monkeypatch.setattr("subprocess.run", lambda *args, **options: pytest.fail("something was started"))
    compile_elsewhere()


def test_a_start_goes_on_where_no_other_process_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    compile_elsewhere()
    assert not compiled.is_complete()
