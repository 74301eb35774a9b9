"""
What would be uploaded: a source archive and one wheel, each of which installs into an empty environment and works.

It builds, and makes environments, with the help of a package index, so it runs only where it is asked for:
`tox -e release`, or GROUPQUEUE_RELEASE=1.
"""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.helpers import ROOT, within

pytestmark = [
    pytest.mark.skipif(not os.environ.get("GROUPQUEUE_RELEASE"), reason="builds and installs: GROUPQUEUE_RELEASE=1"),
    within(300),
]

USED = """
import json, multiprocessing, sys
import groupqueue
from groupqueue import GroupQueue

def double(q):
    q.reply(q.get() * 2)

if __name__ == "__main__":
    q = GroupQueue("jobs")
    child = multiprocessing.get_context("spawn").Process(target=double, args=(q,))
    child.start()
    answer = q.put_wait(21, timeout=20)
    child.join()
    q.close()
    loaded = sorted(name for name in ("click", "rich", "pytest", "dill") if name in sys.modules)
    print(json.dumps([answer, groupqueue.__file__, loaded]))
"""


def run(*command, **how):
    found = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=200, **how)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The two files, made as they would be for an upload: the wheel out of the archive."""
    pytest.importorskip("build", reason="build is not installed")
    folder = tmp_path_factory.mktemp("dist")
    # A copy: what an earlier build has left beside the sources would get into the archive.
    copy = tmp_path_factory.mktemp("source")
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    run(sys.executable, "-m", "build", "--outdir", folder, copy)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def archive(built):
    (path,) = built.glob("*.tar.gz")
    return path


def sources():
    """The files of the repository, also new ones."""
    return run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()


def metadata_of(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(file.read(name))


def test_there_is_one_wheel_for_every_python_and_system(built, wheel):
    assert len(list(built.iterdir())) == 2
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_has_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        extra = {name.partition(".dist-info/")[2] for name in file.namelist() if ".dist-info/" in name}
    assert names == {name for name in sources() if name.startswith("groupqueue/")}
    assert "groupqueue/py.typed" in names
    assert any(name.endswith("LICENSE") for name in extra)
    assert "entry_points.txt" in extra


def test_the_archive_has_all_that_is_needed_to_test_and_to_document(archive):
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert set(sources()) - names == {".gitignore"}


def test_the_metadata(wheel):
    told = metadata_of(wheel)
    assert told["Name"] == "groupqueue"
    assert told["Requires-Python"] == ">=3.10"
    needs = [line for line in told.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(re.split("[<>=!]", line)[0] for line in needs) == ["dill", "portalocker"]
    assert set(told.get_all("Provides-Extra")) >= {"cli", "test", "dev"}
    classifiers = told.get_all("Classifier")
    assert "Typing :: Typed" in classifiers
    for minor in range(10, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in classifiers
    assert told["Description-Content-Type"] == "text/markdown"
    assert told.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("kind", ["wheel", "archive"])
def test_it_works_in_an_empty_environment(kind, request, tmp_path, directory):
    path = request.getfixturevalue(kind)
    place = tmp_path / "venv"
    run(sys.executable, "-m", "venv", place)
    python = place / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", path)
    outside = {"GROUPQUEUE_DIR": directory, "PATH": os.environ["PATH"]}
    (tmp_path / "used.py").write_text(USED)
    answer, where, loaded = json.loads(run(python, "used.py", cwd=tmp_path, env=outside))
    assert (answer, loaded) == (42, [])
    assert where.startswith(str(place))
    assert "jobs" in run(place / "bin" / "groupqueue", "ls", cwd=tmp_path, env=outside)
    found = subprocess.run([place / "bin" / "groupqueue", "top", "jobs"], env=outside, capture_output=True, text=True)
    assert (found.returncode, "groupqueue[cli]" in found.stderr) == (2, True), found.stderr
    if kind == "wheel":
        run(python, "-m", "pip", "install", "--quiet", "pytest")
        (tmp_path / "test_q.py").write_text("def test_q(group_queue):\n    group_queue().put(1)\n")
        assert "1 passed" in run(python, "-m", "pytest", "-q", "test_q.py", cwd=tmp_path, env=outside)
