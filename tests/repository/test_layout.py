"""What the layout of the repository promises."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import allowed_skips

ROOT = Path(__file__).parents[2]
TEXT = {".py", ".md", ".toml", ".lock", ".j2", ".conf", ".yaml", ".txt", ".log", ".sh", ""}


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("needs a git checkout: a source archive has no list of its files")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_package_stands_in_the_way_of_the_standard_librarys_logging() -> None:
    assert not (ROOT / "logging" / "__init__.py").exists()
    code = "import logging; print(logging.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).parent != ROOT / "logging"


def test_git_refuses_such_a_package() -> None:
    assert "/logging/__init__.py" in (ROOT / ".gitignore").read_text().splitlines()


def test_links_lead_from_the_import_name_to_the_top_level_folders() -> None:
    assert (ROOT / "cloud" / "logs").readlink() == Path("../logging")
    assert (ROOT / "cloud" / "dashboards").readlink() == Path("../dashboards")


def test_lock_has_hashes_and_names_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    requirements = re.split(r"\n(?=\S)", lock.strip())
    assert len(requirements) > 30
    assert [line for line in requirements if "--hash=sha256:" not in line] == []


def test_no_file_names_a_package_index_or_a_directory_of_somebodys_machine() -> None:
    hosts = "|".join(["pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(?:org|com)", "deb" + r"\.debian\.org"])
    forbidden = re.compile(rf"{hosts}|/ho" + r"me/\w+|/ro" + rf"ot/|{re.escape(str(ROOT))}/")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked_files()
        if path.suffix in TEXT and (match := forbidden.search(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_every_allowed_skip_has_a_reason_and_names_a_test_that_exists() -> None:
    for node, reason in allowed_skips().items():
        file, _, name = node.partition("::")
        assert reason, node
        assert f"def {name.split('[')[0]}(" in (ROOT / file).read_text(), node


def test_every_direct_dependency_has_its_reason_in_contributing() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {re.split(r"[^A-Za-z0-9.-]", requirement)[0].lower() for requirement in wanted}
    reasons = (ROOT / "CONTRIBUTING.md").read_text()
    assert {name for name in names if f"| {name} |" not in reasons} == set()


def test_readme_names_every_folder_that_holds_code() -> None:
    readme = (ROOT / "README.md").read_text()
    folders = {path.relative_to(ROOT).parent for path in tracked_files() if path.suffix == ".py"}
    named = {folder for folder in folders if folder.parts and folder.parts[0] in ("cloud", "logging")}
    missing = {str(folder) for folder in named if len(folder.parts) == 2 and f"{folder.name}/" not in readme}
    assert missing == set()


def test_importing_the_pipeline_has_no_effect_on_logging() -> None:
    code = (
        "import logging, json; before = logging.root.handlers[:], logging.root.level;"
        "import cloud.logs.emit.setup, cloud.logs.collector.server, cloud.logs.query.api, cloud.cli.main;"
        "print(json.dumps([before[0] == logging.root.handlers, before[1] == logging.root.level]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert json.loads(done.stdout) == [True, True]
