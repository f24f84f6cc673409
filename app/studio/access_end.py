"""The end of an access row, as forms that attach a policy submit it."""

from collections.abc import Mapping


def access_end(form: Mapping[str, str]) -> dict[str, str]:
    """Return the submitted end as a value of the access row; nothing without one."""
    end = form.get("expires", "").strip()
    return {"expires": end} if end else {}
