"""Users with file permissions, in addition to the base data, and sample file contents.

Uma and Ugo upload into no folder or into Pictures, and may read, change and delete their own files. Rex reads the files
in Pictures, the public those in Shown. Lou may upload small files only, Max images only. Tess may change titles.
"""

import zlib
from struct import pack

from tests.base_data import IS_SELF, make_access, make_policy, make_role, make_user, uid
from tests.writes.editors import make_permission

IS_OWN_FILE = {"uploaded_by": {"_eq": "$CURRENT_USER"}}
PICTURES_FOLDER, PUBLIC_FOLDER, HIDDEN_FOLDER = (uid(f"folder-{name}") for name in ("pictures", "shown", "hidden"))


def in_folders(*folder_ids):
    return {"_or": [{"folder": {"_null": True}}, *({"folder": {"_eq": folder}} for folder in folder_ids)]}


USERS_BY_ROLE = {
    "Uploader": ("uma", "ugo"),
    "Gazer": ("rex",),
    "Small": ("lou",),
    "Painter": ("max",),
    "Titler": ("tess",),
}

UPLOADER_ROWS = {
    "directus_folders": [
        {"id": folder, "name": name}
        for folder, name in ((PICTURES_FOLDER, "Pictures"), (PUBLIC_FOLDER, "Shown"), (HIDDEN_FOLDER, "Hidden"))
    ],
    "directus_roles": [make_role(name) for name in USERS_BY_ROLE],
    "directus_users": [make_user(user, name) for name, users in USERS_BY_ROLE.items() for user in users],
    "directus_policies": [make_policy(name) for name in USERS_BY_ROLE],
    "directus_access": [make_access(name, role=name) for name in USERS_BY_ROLE],
    "directus_permissions": [
        make_permission(
            300, "Uploader", "create", "files", "title,description,folder,tags", permissions=in_folders(PICTURES_FOLDER)
        )
        | {"validation": {"title": {"_neq": "Forbidden"}}, "presets": {"description": "Uploaded"}},
        make_permission(301, "Uploader", "read", "files", "*", permissions=IS_OWN_FILE),
        make_permission(
            302, "Uploader", "update", "files", "*", permissions={"_and": [IS_OWN_FILE, in_folders(PICTURES_FOLDER)]}
        ),
        make_permission(303, "Uploader", "delete", "files", None, permissions=IS_OWN_FILE),
        make_permission(304, "Uploader", "update", "users", "avatar", permissions=IS_SELF),
        make_permission(305, "Uploader", "read", "users", "id,avatar", permissions=IS_SELF),
        make_permission(306, "Gazer", "read", "files", "id,title", permissions={"folder": {"_eq": PICTURES_FOLDER}}),
        make_permission(307, "Public", "read", "files", "id", permissions={"folder": {"_eq": PUBLIC_FOLDER}}),
        make_permission(308, "Small", "create", "files", "title", permissions={"filesize": {"_lt": 1000}}),
        make_permission(309, "Small", "read", "files", "*"),
        make_permission(310, "Painter", "create", "files", "title", validation={"type": {"_starts_with": "image/"}}),
        make_permission(311, "Painter", "read", "files", "*"),
        make_permission(312, "Titler", "update", "files", "title"),
        make_permission(313, "Titler", "read", "files", "*"),
    ],
}


def png(width=2, height=3):
    """Return a PNG image of one color."""

    def chunk(kind, data):
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x60\x20\x90" * width) * height
    head = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"\xef\xbb\xbf <!DOCTYPE html><script>alert(1)</script>"
