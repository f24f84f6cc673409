"""Installs the provider."""

import subprocess
import sys

from tests.browser.openid_provider.installation import install

if __name__ == "__main__":
    try:
        install()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"npm could not install oidc-provider ({error}): the test of single sign-on will be skipped.")
