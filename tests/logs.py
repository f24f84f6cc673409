"""Capturing log events in tests."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs


@contextmanager
def captured_logs(*modules: ModuleType) -> Iterator[list[MutableMapping[str, Any]]]:
    """Capture the log events of modules at every level, whatever a server of another test has configured."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "log", structlog.wrap_logger(None, wrapper_class=structlog.BoundLogger))
        with capture_logs() as events:
            yield events
