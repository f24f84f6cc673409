"""What a server does not use is not in its memory."""

import json
import subprocess
import sys

CODE = "import json, sys, app.cli, app.cli.server, app.main; print(json.dumps(sorted(sys.modules)))"
UNUSED = {"httpx", "joserfc", "opentelemetry", "prometheus_client", "webauthn", "yaml"}


def test_a_server_imports_no_library_of_features_that_are_off():
    output = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True, text=True).stdout
    assert not UNUSED & set(json.loads(output))
