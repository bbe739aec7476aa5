"""Reading from wherever a catalog lies: the local disk or anything that fsspec knows.

Invariant: what other packages raise leaves this module named, in one line, without what their messages may hold:
URLs with passwords or signatures. For that reason the named errors are raised `from None`.
"""

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import fsspec

from farm.catalog.naming import is_url, printable
from farm.errors import InputError
from farm.redact import redact, redact_all

# Sequential reading: the default of s3fs, 50 MiB, would be most of what a catalog may take.
_BLOCK_BYTES = 4 * 2**20
_LOCAL = re.compile(r"(file|local)://", re.IGNORECASE)
# Denied to all of a run, not to one object: the answer is other credentials, and the same command again.
_LOCKED_OUT = frozenset(
    {
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_EXTRAS = {"s3": "s3", "s3a": "s3"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with a place, without the place.

    `kind`: missing, denied or unusable, which is said of this one place, or unreachable, which says nothing of it.
    """

    kind: str
    text: str


def local_path(place: str) -> Path | None:
    """The path of a local place, file:// URLs included; None for what is elsewhere."""
    if found := _LOCAL.match(place):
        return Path(place[found.end() :])
    return None if is_url(place) else Path(place)


class BadUrl(ValueError):
    """A URL that no file system could be asked for; the message is ours and can be shown."""


def filesystem(place: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a place, and the place's path in it.

    Raises BadUrl, other `backend_errors`, and InputError when a package for this kind of URL is not installed.
    """
    path = local_path(place)
    if path is not None:
        return fsspec.filesystem("file"), str(path.absolute())
    if "::" in place:
        raise BadUrl("chained URLs (::) cannot be read; give one URL")
    scheme = place.partition("://")[0].lower()
    try:
        system, inside = fsspec.core.url_to_fs(place)
    except ImportError as e:
        # Our own extra where there is one: it pins what was tested together.
        extra = _EXTRAS.get(scheme)
        how = f"pip install 'circletake[{extra}]'" if extra else printable(redact_all(str(e)))
        raise InputError(f"{shown(place)}: {scheme}:// needs another package: {how}") from None
    except ValueError:
        raise BadUrl(
            f"no way to read {scheme}://; allowed: local paths, s3://, https:// and what else fsspec knows"
        ) from None
    if not inside.strip("/") and scheme != "memory":
        raise BadUrl("names no bucket or host")
    return system, inside


@contextmanager
def opened(place: str) -> Iterator[BinaryIO]:
    """The bytes of a place, to be read from the start. Raises InputError, also for a read that fails inside."""
    try:
        file = _open(place)
    except backend_errors() as e:
        raise InputError(f"{shown(place)}: {told(e, place).text}") from None
    try:
        with file:
            yield file
    except transport_errors() as e:
        raise InputError(f"{shown(place)}: {told(e, place).text}") from None


def backend_errors() -> tuple[type[Exception], ...]:
    """What file systems raise when they are asked for a place: ValueError is for URLs that are none."""
    return (*transport_errors(), ValueError)


def transport_errors() -> tuple[type[Exception], ...]:
    """What they raise while bytes come. Asked for when something was raised: then, what raised it is imported."""
    names = {"botocore.exceptions": ("BotoCoreError", "ClientError"), "aiohttp": ("ClientError",)}
    found: list[type[Exception]] = [OSError]
    for module, classes in names.items():
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in classes]
    return tuple(found)


def _open(place: str) -> BinaryIO:
    path = local_path(place)
    if path is None:
        system, inside = filesystem(place)
        # fsspec's own files have no readline with a limit.
        return io.BufferedReader(system.open(inside, "rb", block_size=_BLOCK_BYTES))
    # A pipe or a device would be waited for, maybe for ever.
    if path.exists() and not path.is_file():
        raise IsADirectoryError(path)
    return path.open("rb")


def told(error: Exception, place: str) -> Trouble:
    """One of `backend_errors` in our words."""
    name = type(error).__name__
    status = getattr(error, "status", None)
    local = local_path(place) is not None
    if isinstance(error, BadUrl):
        return Trouble("unusable", str(error))
    if isinstance(error, FileNotFoundError | NotADirectoryError) or status in {404, 410}:
        return Trouble("missing", "no such file" if local else "no such object, folder or bucket")
    if isinstance(error, IsADirectoryError):
        return Trouble("missing", "is not a file")
    if "Credential" in name or "Token" in name or _s3_code(error) in _LOCKED_OUT:
        why = _s3_code(error) or name
        return Trouble(
            "unreachable", f"no usable credentials ({why}); set them in the environment or a profile"
        )
    if isinstance(error, PermissionError) or status in {401, 403}:
        return Trouble("denied", "access denied; check the permissions and the credentials")
    if isinstance(error, ConnectionError | TimeoutError) or re.search(r"Connect|Timeout|SSL|Proxy|DNS", name):
        return Trouble("unreachable", f"cannot be reached ({name})")
    if isinstance(status, int):
        passing = status >= 500 or status in {408, 429}
        return Trouble("unreachable" if passing else "unusable", f"the server answered with status {status}")
    if isinstance(error, OSError) and error.strerror:
        return Trouble("unusable" if local else "unreachable", printable(redact_all(error.strerror)))
    if redact(place) != place:
        return Trouble(
            "unusable", f"cannot be used ({name}); credentials belong in the environment, not a URL"
        )
    return Trouble("unusable", f"cannot be used ({name}); check its spelling")


def _s3_code(error: Exception) -> str:
    # s3fs raises OSErrors from botocore's; only the latter know why access was denied.
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def shown(place: str) -> str:
    """A place as messages name it: on one line, without secrets."""
    return printable(redact(place))
