"""How stills and motions are named: ids, what they are derived from, and names as they are shown.

Invariant: an id is a name, never a path: nothing here or later opens what an id says.
"""

import re

from farm.errors import InputError

MAX_ID_CHARS = 200
IMAGE_SUFFIXES = (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# The same text is given to Python's re and to RE2, so that an id derived row by row and one derived column by
# column are the same. A name that is only a suffix (".jpg") keeps it.
SUFFIX_PATTERN = r"([^/])\.[^./]+$"
_SUFFIX = re.compile(SUFFIX_PATTERN)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NOT_IN_IDS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def id_fault(name: str) -> str | None:
    """What is wrong with an id (without white space around it), None if nothing is."""
    if not name:
        return f"is empty; allowed: 1 to {MAX_ID_CHARS} characters"
    if len(name) > MAX_ID_CHARS:
        return f"has {len(name)} characters; allowed: 1 to {MAX_ID_CHARS}"
    if found := _NOT_IN_IDS.search(name):
        odd = f"U+{ord(found.group()):04X}"
        return f"holds the character {odd}; allowed: any text without control characters"
    return None


def checked_id(text: str, *, where: str) -> str:
    """The id without the white space around it. Raises InputError naming `where`."""
    name = text.strip()
    if fault := id_fault(name):
        raise InputError(f"{where}: the id '{printable(name[:40])}{'...' * (len(name) > 40)}' {fault}")
    return name


def derived_id(image: str) -> str:
    """The id of a row that has none: its image as written, without suffix; of a URL or absolute path the stem."""
    if is_url(image):
        # Not the query: it may hold a signature, and changes from day to day.
        image = re.split(r"[?#]", image.partition("://")[2])[0].partition("/")[2]
        return without_suffix(image.rstrip("/").rpartition("/")[2])
    return without_suffix(image.rpartition("/")[2] if image.startswith("/") else image)


def without_suffix(path: str) -> str:
    return _SUFFIX.sub(r"\1", path)


def is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_SUFFIXES)


def is_url(text: str) -> bool:
    return _URL.match(text) is not None


def printable(text: str) -> str:
    """A name on one line that any terminal can show: control characters and broken Unicode are escaped."""
    return _NOT_SHOWN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
