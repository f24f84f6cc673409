"""The explorer's modules: their own tests, which run in Node, and what they import."""

import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from app.studio.static_files import DIRECTORY, StaticFiles

TESTS = Path(__file__).parent / "explorer"
MODULES = sorted((DIRECTORY / "explorer").glob("*.js"))
IMPORT = re.compile(r'^(?:import|\}) [^;]*?from "([^"]+)";$', re.MULTILINE)
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="the explorer's modules are not tested, because node is missing")
def test_the_modules_pass_their_tests(tmp_path):
    shutil.copytree(TESTS, tmp_path, dirs_exist_ok=True)
    shutil.copytree(DIRECTORY / "explorer", tmp_path / "explorer")
    (tmp_path / "package.json").write_text('{"type": "module"}')

    run = subprocess.run([str(NODE), "--test"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert run.returncode == 0, run.stdout
    assert re.search(r"^# pass [1-9]", run.stdout, re.MULTILINE), run.stdout


@pytest.fixture(scope="module")
def files():
    return StaticFiles()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_imports_existing_files_only(files, module):
    for target in IMPORT.findall(module.read_text()):
        assert files.path(str(PurePosixPath("explorer") / target.removeprefix("./")))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_is_small_and_never_parses_html(module):
    text = module.read_text()

    assert len(text.splitlines()) < 250
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
