"""`rollcall --version`."""

from app import __version__
from tests.cli.commands import run_process


async def test_the_version_is_printed_without_reading_settings(tmp_path):
    result = await run_process("--version", PYTHONPATH=".", DATABASE_URL="not a URL")

    assert (result.code, result.out, result.err) == (0, f"rollcall {__version__}\n", "")
