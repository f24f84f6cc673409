"""`rollcall serve` with extensions: several worker processes, and extensions that can't be loaded."""

import subprocess
import sys
import time

import pytest

from tests.compat.replay import ROLLCALL, free_port, temporary_database, wait_until_ready
from tests.conftest import BACKENDS

JOB_SECONDS = 3.0
EXTENSION = """
import os
from datetime import timedelta
from pathlib import Path

async def note(directory):
    with Path("runs").open("a") as runs:
        runs.write(f"{os.getpid()} {await directory['users'].count()}\\n")

def register(extend):
    extend.job(every=timedelta(seconds=1))(note)
"""


def environment(folder, url):
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{folder}:{':'.join(filter(None, sys.path))}",
        "DATABASE_URL": url,
        "SECRET": "x" * 32,
        "EXTENSIONS": "noting",
        "DB_POOL_SIZE": "2",
        "HASH_MEMORY_COST": "64",
    }


@pytest.mark.nightly
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_workers_run_a_job_once_per_interval(tmp_path, backend):
    (tmp_path / "noting.py").write_text(EXTENSION)
    port = free_port()
    with temporary_database(backend, str(tmp_path)) as url:
        env = environment(tmp_path, url)
        subprocess.run([*ROLLCALL, "bootstrap"], check=True, cwd=tmp_path, env=env, capture_output=True)
        command = [*ROLLCALL, "serve", "--port", str(port), "--workers", "2"]
        with (tmp_path / "log").open("w") as log:
            server = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=log)
        try:
            wait_until_ready(port)
            started = time.monotonic()
            time.sleep(JOB_SECONDS)
        finally:
            server.terminate()
            server.wait(20)
        seconds = time.monotonic() - started + 2  # the workers started a moment earlier
    runs = (tmp_path / "runs").read_text().splitlines()

    assert 2 <= len(runs) <= seconds
    assert {run.split()[1] for run in runs} == {"1"}


@pytest.mark.slow
def test_an_extension_that_cannot_be_loaded_stops_the_command_with_one_sentence(tmp_path):
    (tmp_path / "noting.py").write_text("import nothing_of_this_name")
    env = environment(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}")
    subprocess.run([*ROLLCALL, "bootstrap"], check=True, cwd=tmp_path, env=env, capture_output=True)
    command = [*ROLLCALL, "serve", "--port", str(free_port()), "--workers", "2"]
    process = subprocess.run(command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)

    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == (
        'rollcall: The extension "noting" cannot be used: importing it raised ModuleNotFoundError: '
        "No module named 'nothing_of_this_name'."
    )
    assert "Traceback" not in process.stderr
