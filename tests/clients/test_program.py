"""A program that was imported once runs each time as if it were started alone."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import program
from tests.clients.program import Done, Program

LIBRARY = """
import sys
from pathlib import Path
Path({imports!r}).open("a").write("x")
calls = []
def main(arguments=sys.argv[1:]):
    calls.append(1)
    print(len(calls), arguments, os.environ.get("WORD"), os.getcwd(), repr(sys.stdin.read()))
    print("to stderr", file=sys.stderr)
    if "sleep" in arguments:
        time.sleep(60)
    if "late" in arguments:
        import late
    sys.exit("no" if "fail" in arguments else 0)
import os, time
"""
SCRIPT = "from library import main\nif __name__ == '__main__':\n    main()\n"
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], Program]:
    """The script, and what it imports beside it; a file notes each import."""

    def made() -> Program:
        (tmp_path / "library.py").write_text(LIBRARY.format(imports=str(tmp_path / "imports")))
        (tmp_path / "late.py").write_text(f"open({str(tmp_path / 'late')!r}, 'a').write('x')\n")
        (tmp_path / "script").write_text(SCRIPT)
        return Program(Path(sys.executable), tmp_path / "script", ENVIRONMENT)

    return made


def done(directory: Path, arguments: str, word: str | None = None, code: int = 0, said: str = "") -> Done:
    return Done(code, f"1 {arguments} {word} {directory} ''\n", f"to stderr\n{said}")


def test_each_run_has_its_own_arguments_environment_directory_and_exit_code(
    make: Callable[[], Program], tmp_path: Path
) -> None:
    with make() as script:
        assert script.run([["a", "b c"]], {"WORD": "hi"}, tmp_path) == [done(tmp_path, "['a', 'b c']", "hi")]
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        assert script.run([["fail"]], {}, elsewhere) == [done(elsewhere, "['fail']", code=1, said="no\n")]


def test_several_run_at_once_and_are_told_in_the_order_of_the_commands(
    make: Callable[[], Program], tmp_path: Path
) -> None:
    with make() as script:
        found = script.run([["one"], ["fail"], []], {}, tmp_path)
    assert [each.code for each in found] == [0, 1, 0]
    assert [each.stdout.split(" ", 1)[1].split("]")[0] for each in found] == ["['one'", "['fail'", "["]


def test_what_one_run_imports_the_next_one_has(make: Callable[[], Program], tmp_path: Path) -> None:
    with make() as script:
        assert [script.run([["late"]], {}, tmp_path)[0].code for _ in range(3)] == [0, 0, 0]
    assert (tmp_path / "late").read_text() == "xx"  # by the first run, and by the server for all further ones


def test_one_that_does_not_end_is_ended_and_others_run_after_it(
    make: Callable[[], Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "TIMEOUT_S", 1)
    with make() as script:
        assert script.run([["sleep"]], {}, tmp_path)[0].code == -14
        assert script.run([["after"]], {}, tmp_path)[0].code == 0


def test_script_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("raise SystemExit(3)\n")
    with (
        Program(Path(sys.executable), script, ENVIRONMENT) as broken,
        pytest.raises(RuntimeError, match=r"^cannot run .*/script: its server has ended with 3$"),
    ):
        broken.run([["a"]], {}, tmp_path)
