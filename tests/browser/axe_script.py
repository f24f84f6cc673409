"""The script of axe-core. `python -m tests.browser.axe_script` fetches it with npm."""

import base64
import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

VERSION = "4.14.1"
SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
SCRIPT = Path(__file__).parents[2] / "build" / f"axe-{VERSION}.min.js"


class IntegrityError(Exception):
    """The archive is not the expected one."""


def install() -> None:
    """Fetch the script into `SCRIPT`, unless it is there.

    Raises:
        IntegrityError: The archive has another checksum.
    """
    if SCRIPT.exists():
        return
    with TemporaryDirectory() as folder:
        command = ["npm", "pack", f"axe-core@{VERSION}", "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != SHA512:
            raise IntegrityError(f"axe-core {VERSION} from npm has another checksum than expected")
        with tarfile.open(archive) as content:
            script = content.extractfile("package/axe.min.js")
            assert script is not None
            SCRIPT.parent.mkdir(exist_ok=True)
            SCRIPT.write_bytes(script.read())


if __name__ == "__main__":
    try:
        install()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"npm could not fetch axe-core {VERSION} ({error}): the tests of accessibility will be skipped.")
