"""Objects under one URL: a local folder, S3, memory, or whatever else fsspec reaches.

Invariant: an object is whole or not there. Nothing is appended to and nothing is locked: `put` replaces the whole,
`create` and `replace` have exactly one winner, and what is listed is what the store holds now, whoever wrote it.
"""

import contextlib
import errno
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol, Self
from uuid import uuid4

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from farm.errors import InputError, StoreError
from farm.redact import redact, redact_all
from farm.store.disk import Disk
from farm.store.remote import S3, Memory, Remote

_READERS = 8  # one request to S3 takes 10-50 ms, and a run has thousands of parts and outcomes
# No empty segment, none that starts with a dot (`..`, and the temporary files of Disk), nothing a shell or a URL
# would take apart.
_SEGMENT = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.ESTALE, errno.EBUSY})


class Place(Protocol):
    """Where objects lie. All methods raise OSError; keys have been checked."""

    def put(self, key: str, data: bytes | Path) -> None: ...

    def create(self, key: str, data: bytes | Path) -> bool: ...

    def get(self, key: str) -> bytes: ...

    def read(self, key: str) -> tuple[bytes, str]: ...

    def replace(self, key: str, data: bytes, version: str) -> str | None: ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> Iterator[tuple[str, int]]: ...

    def delete(self, keys: Iterable[str]) -> None: ...

    def probe(self) -> None:
        """Raises OSError unless all of the above can be done here; leaves nothing behind."""
        ...


class Blobs:
    """The objects of one run. Safe in threads; picklable, by its URL, to other processes.

    `url` is for people: credentials in it are redacted. Keys are relative, with `/` between segments; a key that
    could leave the folder is a ValueError. StoreError kinds: missing, denied, full, unreachable, other.
    """

    def __init__(self, place: Place, url: str, address: str) -> None:
        self.url = url
        self._place = place
        self._address = address

    @classmethod
    def open(cls, url: str) -> Self:
        """The objects under `url`; asks the store nothing yet. Raises InputError for a URL that names no place."""
        place, address = _place(url)
        return cls(place, redact(url), address)

    def __repr__(self) -> str:
        return f"Blobs({self.url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (type(self), self.url, self._address)

    def put(self, key: str, data: bytes | Path) -> None:
        """Writes a whole object (the bytes, or those of a file), in place of what was there."""
        with self._named("write", key):
            self._place.put(_checked(key), data)

    def create(self, key: str, data: bytes | Path) -> bool:
        """Writes an object unless the key is taken; True if this call made it.

        False may also mean that our own write arrived though its answer was lost, and was sent again: who must
        know reads the object.
        """
        with self._named("create", key):
            return self._place.create(_checked(key), data)

    def get(self, key: str) -> bytes:
        """The whole object. Raises StoreError of kind `missing` where there is none."""
        with self._named("read", key):
            return self._place.get(_checked(key))

    def read(self, key: str) -> tuple[bytes, str]:
        """The whole object and its version, which is good for `replace` only. Raises StoreError as `get` does."""
        with self._named("read", key):
            return self._place.read(_checked(key))

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        """Writes an object in place of that very version; its new version, None where another one stands there.

        None may also mean that our own write arrived though its answer was lost, and was sent again: who must know
        reads the object. Raises StoreError of kind `other` where a store cannot do it in one step.
        """
        with self._named("replace", key):
            return self._place.replace(_checked(key), data, version)

    def can_replace(self) -> bool:
        """Whether `replace` heeds versions here, tried out on an object that is removed again. Raises StoreError."""
        key = f"probe-{uuid4().hex}"
        self.create(key, b"probe")
        try:
            if self.replace(key, b"never", "0" * 32) is not None:
                return False
            return self.replace(key, b"again", self.read(key)[1]) is not None
        except StoreError as e:
            if e.kind != "other":
                raise
            return False
        finally:
            self.delete([key])

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Keys and their objects, in the order given, several requests at a time; few are held in memory."""
        rest = iter(keys)
        with ThreadPoolExecutor(_READERS, thread_name_prefix="blobs") as pool:
            open_ = [(key, pool.submit(self.get, key)) for key in islice(rest, 2 * _READERS)]
            while open_:
                key, answer = open_.pop(0)
                yield key, answer.result()
                open_.extend((more, pool.submit(self.get, more)) for more in islice(rest, 1))

    def exists(self, key: str) -> bool:
        with self._named("look for", key):
            return self._place.exists(_checked(key))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """(key, size in bytes) of every object whose key starts with `prefix`, in no order.

        A folder that is not there is empty. What others write or delete meanwhile may or may not be in it.
        """
        with self._named("list", prefix or "all"):
            yield from self._place.list(_checked_prefix(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Removes objects; those that are not there are no error."""
        checked = [_checked(key) for key in keys]
        with self._named("delete", checked[0] if checked else "nothing"):
            self._place.delete(checked)

    def check_writable(self) -> None:
        """Raises InputError, one line, unless a run can keep its objects here. Leaves nothing behind."""
        try:
            self._place.probe()
        except OSError as e:
            raise InputError(f"{self.url}: cannot be written: {_told(e)}") from e

    @contextlib.contextmanager
    def _named(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise StoreError(f"{self.url}: cannot {verb} {key}: {_told(e)}", kind=_kind(e)) from e


def _place(url: str) -> tuple[Place, str]:
    """Where `url` leads, and the URL with which another process in another folder gets there too."""
    shown = redact(url)
    if not url.strip() or "\0" in url:
        raise InputError(
            f"{shown!r}: names no place; allowed: a folder, or a URL such as s3://bucket/runs/spring"
        )
    try:
        # An instance of our own: fsspec would hand out one that was made under other credentials.
        fs, path = url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
    except ImportError as e:
        extra = "circletake[s3]" if url.startswith(("s3:", "s3a:")) else f"what it asks for ({e})"
        raise InputError(f"{shown}: needs a package that is not installed: pip install '{extra}'") from e
    except ValueError as e:
        raise InputError(f"{shown}: {redact_all(str(e))}") from e
    if isinstance(fs, LocalFileSystem):
        return Disk(Path(path)), path
    if isinstance(fs, MemoryFileSystem):
        return Memory(fs, path), url
    if "s3" in fs.protocol:
        bucket = path.partition("/")[0]
        if not bucket or "@" in bucket:
            what = (
                "credentials stand in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                if bucket
                else "names no bucket"
            )
            raise InputError(f"{shown}: {what}; allowed: s3://bucket/folder")
        return S3(fs, path), url
    return Remote(fs, path), url


def _reopen(cls: type[Blobs], url: str, address: str) -> Blobs:
    place, _ = _place(address)
    return cls(place, url, address)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"{key!r} is no key: expected segments with '/' between, none that starts with a dot"
        )
    return key


def _checked_prefix(prefix: str) -> str:
    if prefix:
        _checked(prefix.removesuffix("/"))
    return prefix


def _kind(e: OSError) -> str:
    if isinstance(e, FileNotFoundError):
        return "missing"
    if isinstance(e, PermissionError) or e.errno == errno.EROFS:
        return "denied"
    if e.errno in _FULL:
        return "full"
    if isinstance(e, ConnectionError | TimeoutError) or e.errno in _UNREACHABLE:
        return "unreachable"
    return "other"


def _told(e: OSError) -> str:
    return redact_all(" ".join((e.strerror or str(e) or type(e).__name__).split()))
