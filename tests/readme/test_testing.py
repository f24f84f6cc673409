"""The README's own test, run in a folder of its own."""

import subprocess
import sys

from tests.readme.readme_sections import checkout, page, snippets


def test_what_the_page_shows_passes_in_a_folder_of_ones_own(tmp_path):
    text = page("## Testing from Python")
    (settings,), (conftest, test) = snippets("ini", text), snippets("python", text)
    for name, content in {"pytest.ini": settings, "conftest.py": conftest, "test_vi.py": test}.items():
        (tmp_path / name).write_text(content)
    env = checkout(tmp_path)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    told = subprocess.run(run, check=False, cwd=tmp_path, env=env, capture_output=True, text=True)

    assert told.returncode == 0, told.stdout
    assert "1 passed" in told.stdout
