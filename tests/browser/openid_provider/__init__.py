"""An OpenID provider from npm. `python -m tests.browser.openid_provider` installs it in `build`.

The lock file has the checksums of all packages, and no address of a registry.
"""
