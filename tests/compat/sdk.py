"""Runs the official JavaScript SDK against a fresh server: `python -m tests.compat.sdk sqlite`; npm is asked for it.

Every function that README promises is called once, by the SDK of today. Where the recordings lie beside the checkout,
their own 57 steps are taken too, twice, by each of the two versions that they name.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile

from tests.compat.replay import HERE, a_database, a_server, environment, free_port
from tests.conftest import RECORDINGS

STEPS = RECORDINGS / "oracle/sdk"
README = HERE.parents[1] / "README.md"


def install(folder: str) -> None:
    shutil.copy(HERE / "tools/sdk.mjs", folder)
    if STEPS.exists():
        shutil.copy(STEPS / "check.mjs", folder)
    wanted = ["sdk-match@npm:@directus/sdk@^21", "sdk-latest@npm:@directus/sdk@latest", "@directus/sdk@latest"]
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(["npm", "install", *quiet, *wanted], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def run(command: list[str], folder: str, env: dict[str, str]) -> int:
    """What a script exits with; its steps that went well are not told."""
    told = subprocess.run(command, check=False, cwd=folder, env=env, capture_output=True, text=True)
    lines = [line for line in (told.stdout + told.stderr).splitlines() if not line.startswith("PASS")]
    print("\n".join(lines), flush=True)
    return told.returncode


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("database", choices=["sqlite", "postgresql"])
    asked = ask.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, a_database(asked.database, folder) as url:
        install(folder)
        env = environment(url, free_port(), free_port()) | {"EMAIL_TRANSPORT": "log", "LOG_LEVEL": "error"}
        with a_server(env, folder) as address:
            for version in ("sdk-match", "sdk-latest") * 2 if STEPS.exists() else ():
                failed += run(["node", "check.mjs"], folder, env | {"BASE_URL": address, "SDK": version})
            failed += run(["node", "sdk.mjs", address, str(README)], folder, env)
    if not STEPS.exists():
        print("The recordings are not beside this checkout: their steps were LEFT OUT.")
    sys.exit(failed)


if __name__ == "__main__":
    main()
