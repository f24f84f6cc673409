"""Runs the official JavaScript SDK, installed by npm, against a new server: `python -m tests.compat.sdk sqlite`.

Calls every function that the compatibility page lists with the latest SDK. If the recordings are present, their 57
steps run too, twice with each of the two versions of the SDK that they name.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile

from tests.compat.replay import COMPAT_FOLDER, free_port, running_server, server_environment, temporary_database
from tests.conftest import RECORDINGS

STEPS = RECORDINGS / "oracle/sdk"
COMPATIBILITY_PAGE = COMPAT_FOLDER.parents[1] / "docs/directus/compatibility.md"


def install(folder: str) -> None:
    shutil.copy(COMPAT_FOLDER / "tools/sdk.mjs", folder)
    if STEPS.exists():
        shutil.copy(STEPS / "check.mjs", folder)
    packages = ["sdk-match@npm:@directus/sdk@^21", "sdk-latest@npm:@directus/sdk@latest", "@directus/sdk@latest"]
    npm_options = ["--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(["npm", "install", *npm_options, *packages], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def run(command: list[str], folder: str, env: dict[str, str]) -> int:
    """Run a script, print what failed, and return its exit code."""
    process = subprocess.run(command, check=False, cwd=folder, env=env, capture_output=True, text=True)
    lines = [line for line in (process.stdout + process.stderr).splitlines() if not line.startswith("PASS")]
    print("\n".join(lines), flush=True)
    return process.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, temporary_database(options.database, folder) as url:
        install(folder)
        env = server_environment(url, free_port(), free_port()) | {"EMAIL_TRANSPORT": "log", "LOG_LEVEL": "error"}
        with running_server(env, folder) as base_url:
            for version in ("sdk-match", "sdk-latest") * 2 if STEPS.exists() else ():
                failed += run(["node", "check.mjs"], folder, env | {"BASE_URL": base_url, "SDK": version})
            failed += run(["node", "sdk.mjs", base_url, str(COMPATIBILITY_PAGE)], folder, env)
    if not STEPS.exists():
        print("The recordings are missing: their steps did not run.")
    sys.exit(failed)


if __name__ == "__main__":
    main()
