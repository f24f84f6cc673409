"""People who upload, beside the named world, what they may see of each other's files, and the files themselves.

Uma and Ugo upload into no folder or into Pictures, and see, change and take away what is theirs. Rex sees what lies in
Pictures, everybody what lies in Shown. Lou uploads small files only, Max pictures only. Tess may change titles.
"""

import zlib
from struct import pack

from tests.world import SELF, uid
from tests.world import _access as access
from tests.world import _person as person
from tests.world import _policy as policy
from tests.world import _role as role
from tests.writes.editors import may

OWN = {"uploaded_by": {"_eq": "$CURRENT_USER"}}
PICTURES, SHOWN, HIDDEN = (uid(f"folder-{name}") for name in ("pictures", "shown", "hidden"))


def _in(*folders):
    return {"_or": [{"folder": {"_null": True}}, *({"folder": {"_eq": folder}} for folder in folders)]}


PEOPLE = {"Uploader": ("uma", "ugo"), "Gazer": ("rex",), "Small": ("lou",), "Painter": ("max",), "Titler": ("tess",)}

FILING = {
    "directus_folders": [
        {"id": folder, "name": name} for folder, name in ((PICTURES, "Pictures"), (SHOWN, "Shown"), (HIDDEN, "Hidden"))
    ],
    "directus_roles": [role(name) for name in PEOPLE],
    "directus_users": [person(who, name) for name, people in PEOPLE.items() for who in people],
    "directus_policies": [policy(name) for name in PEOPLE],
    "directus_access": [access(name, role=name) for name in PEOPLE],
    "directus_permissions": [
        may(300, "Uploader", "create", "files", "title,description,folder,tags", permissions=_in(PICTURES))
        | {"validation": {"title": {"_neq": "Forbidden"}}, "presets": {"description": "Uploaded"}},
        may(301, "Uploader", "read", "files", "*", permissions=OWN),
        may(302, "Uploader", "update", "files", "*", permissions={"_and": [OWN, _in(PICTURES)]}),
        may(303, "Uploader", "delete", "files", None, permissions=OWN),
        may(304, "Uploader", "update", "users", "avatar", permissions=SELF),
        may(305, "Uploader", "read", "users", "id,avatar", permissions=SELF),
        may(306, "Gazer", "read", "files", "id,title", permissions={"folder": {"_eq": PICTURES}}),
        may(307, "Public", "read", "files", "id", permissions={"folder": {"_eq": SHOWN}}),
        may(308, "Small", "create", "files", "title", permissions={"filesize": {"_lt": 1000}}),
        may(309, "Small", "read", "files", "*"),
        may(310, "Painter", "create", "files", "title", validation={"type": {"_starts_with": "image/"}}),
        may(311, "Painter", "read", "files", "*"),
        may(312, "Titler", "update", "files", "title"),
        may(313, "Titler", "read", "files", "*"),
    ],
}


def png(width=2, height=3):
    """A picture of one colour."""

    def chunk(kind, data):
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x60\x20\x90" * width) * height
    head = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"\xef\xbb\xbf <!DOCTYPE html><script>alert(1)</script>"
