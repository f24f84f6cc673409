"""Rights of extensions beyond those of the caller."""

from app.core.caller import on_behalf_of
from app.repositories.directory import Directory


async def act_as_system(directory: Directory) -> Directory:
    """Return the same directory without any policy: it can read and write everything.

    Every caller of the code that uses it gets these rights, so that code must check the caller first. The audit
    log still names the caller.

    Raises:
        InvalidCredentials: The caller is no longer an active user, or its session has ended.
    """
    caller = (
        directory.caller if directory.caller.system else on_behalf_of((await directory.access()).user, directory.caller)
    )
    return Directory(caller, directory.services, directory.client_info, directory.budget)
