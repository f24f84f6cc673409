"""Where the provider is installed, and how."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "server.mjs")
FOLDER = Path(__file__).parents[3] / "build" / "openid-provider"


def is_installed() -> bool:
    """Return whether the provider and node are there."""
    return (FOLDER / "node_modules" / "oidc-provider").exists() and shutil.which("node") is not None


def install() -> None:
    """Install the locked packages, without running any of their scripts; the lock file has their checksums."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(SOURCE / name, FOLDER / name)
    if not is_installed():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=FOLDER, check=True)
