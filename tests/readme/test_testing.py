"""The test that the documentation shows, run in a folder of its own."""

import subprocess
import sys

import pytest

from tests.readme.pages import create_checkout, page, snippets


@pytest.mark.slow
def test_the_example_test_passes_in_another_folder(tmp_path):
    text = page("python/testing.md")
    (settings,), (conftest, test) = snippets("ini", text), snippets("python", text)
    for name, content in {"pytest.ini": settings, "conftest.py": conftest, "test_vi.py": test}.items():
        (tmp_path / name).write_text(content)
    env = create_checkout(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    process = subprocess.run(command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True)

    assert process.returncode == 0, process.stdout
    assert "2 passed" in process.stdout
