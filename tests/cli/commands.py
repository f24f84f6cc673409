"""Runs `rollcall …` for tests: in this process, which is faster, or in one of its own."""

import asyncio
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

from app.cli import main
from tests.base_data import CHEAP_HASH_COST

CHEAP_HASHES = {
    "HASH_MEMORY_COST": str(CHEAP_HASH_COST.memory),
    "HASH_TIME_COST": str(CHEAP_HASH_COST.time),
    "HASH_PARALLELISM": str(CHEAP_HASH_COST.parallelism),
}


class CommandResult(NamedTuple):
    """A command's exit status and output."""

    code: int
    out: str
    err: str


async def run_command(url: str, *arguments: str, stdin: str = "", **env: str) -> CommandResult:
    """Run `rollcall …` on the database at `url` in this process, through the entry point that is installed.

    `env` are further environment variables.
    """

    def run() -> CommandResult:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setenv("DATABASE_URL", url)
            patch.setenv("SECRET", "a secret that only tests know and use")
            for name, value in {**CHEAP_HASHES, **env}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["rollcall", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(f"{stdin}\n"))
            patch.setattr(sys, "excepthook", sys.excepthook)  # typer replaces it
            with pytest.raises(SystemExit) as exit_:
                main()
        return CommandResult(int(exit_.value.code or 0), out.getvalue(), err.getvalue())

    return await asyncio.to_thread(run)


async def run_process(*arguments: str, **env: str) -> CommandResult:
    """Run `rollcall …` in a process of its own, with no other environment than `env`."""
    command = [sys.executable, "-c", "from app.cli import main; main()", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env
    )
    out, err = await process.communicate()
    return CommandResult(process.returncode or 0, out.decode(), err.decode())
