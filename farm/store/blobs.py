"""Objects under one URL: a local folder, S3, memory, or whatever else fsspec reaches.

Invariant: an object is whole or not there. Nothing is appended to and nothing is locked: `put` replaces the whole,
`create` has exactly one winner among those who write different bytes, `replace` has one, and what is listed is what the
store holds now, whoever wrote it. Every request is tried again while its trouble may pass (patience.py); what is raised
then is a StoreError that says what to do.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol, Self, TypeVar
from uuid import uuid4

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from farm.errors import InputError, StoreError
from farm.redact import redact, redact_all
from farm.store.disk import Disk
from farm.store.patience import Patience
from farm.store.remote import S3, Memory, Remote
from farm.store.trouble import kind_of, told

_READERS = 8  # one request to S3 takes 10-50 ms, and a run has thousands of parts and outcomes
# No empty segment, none that starts with a dot (`..`, and the temporary files of Disk), nothing a shell or a URL
# would take apart.
_SEGMENT = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")

T = TypeVar("T")


class Place(Protocol):
    """Where objects lie. All methods raise OSError; keys have been checked."""

    def put(self, key: str, data: bytes | Path) -> None: ...

    def create(self, key: str, data: bytes | Path) -> bool: ...

    def get(self, key: str) -> bytes: ...

    def read(self, key: str) -> tuple[bytes, str]: ...

    def replace(self, key: str, data: bytes, version: str) -> str | None: ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str, patience: Patience) -> Iterator[tuple[str, int]]:
        """Bears each of its requests: a listing that is cut short goes on where it was."""
        ...

    def delete(self, keys: Iterable[str]) -> None: ...

    def probe(self) -> None:
        """Raises OSError unless all of the above can be done here; leaves nothing behind."""
        ...


class Blobs:
    """The objects of one run. Safe in threads; picklable, by its URL, to other processes.

    `url` is for people: credentials in it are redacted. Keys are relative, with `/` between segments; a key that
    could leave the folder is a ValueError. Every method raises StoreError; its kinds stand there.
    """

    def __init__(self, place: Place, url: str, address: str, patience: Patience) -> None:
        self.url = url
        self._place = place
        self._address = address
        self._patience = patience

    @classmethod
    def open(cls, url: str, patience: Patience | None = None) -> Self:
        """The objects under `url`; asks the store nothing yet. Raises InputError for a URL that names no place."""
        place, address = _place(url)
        return cls(place, redact(url), address, patience or Patience())

    @property
    def address(self) -> str:
        """The place, whatever folder a process runs in; without credentials."""
        return redact(self._address)

    def __repr__(self) -> str:
        return f"Blobs({self.url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (type(self), self.url, self._address, self._patience)

    def put(self, key: str, data: bytes | Path) -> None:
        """Writes a whole object (the bytes, or those of a file), in place of what was there."""
        _checked(key)
        self._asked("write", key, lambda: self._place.put(key, data))

    def create(self, key: str, data: bytes | Path) -> bool:
        """Writes an object unless the key is taken; True if the object is there and holds what was sent.

        An answer may be lost and the request sent again, by us or by the HTTP client below us: what stands there is
        read before it is called somebody else's. Two writers that must be told apart write different bytes.
        """
        _checked(key)

        def make() -> bool:
            if self._place.create(key, data):
                return True
            try:
                return self._place.get(key) == _bytes(data)
            except OSError as e:
                if kind_of(e) != "missing":
                    raise
                return False  # taken a moment ago

        return self._asked("create", key, make)

    def get(self, key: str) -> bytes:
        """The whole object. Raises StoreError of kind `missing` where there is none."""
        _checked(key)
        return self._asked("read", key, lambda: self._place.get(key))

    def read(self, key: str) -> tuple[bytes, str]:
        """The whole object and its version, which is good for `replace` only. Raises StoreError as `get` does."""
        _checked(key)
        return self._asked("read", key, lambda: self._place.read(key))

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        """Writes an object in place of that very version; its new version, None where another one stands there.

        None may also mean that our own write arrived though its answer was lost, and was sent again: who must know
        reads the object. Raises StoreError of kind `other` where a store cannot do it in one step.
        """
        _checked(key)
        return self._asked("replace", key, lambda: self._place.replace(key, data, version))

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
        _checked(key)
        return self._asked("look for", key, lambda: self._place.exists(key))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """(key, size in bytes) of every object whose key starts with `prefix`, in no order.

        A folder that is not there is empty. What others write or delete meanwhile may or may not be in it.
        """
        with self._named("list", prefix or "all"):
            yield from self._place.list(_checked_prefix(prefix), self._patience)

    def delete(self, keys: Iterable[str]) -> None:
        """Removes objects; those that are not there are no error."""
        checked = [_checked(key) for key in keys]
        if checked:
            self._asked("delete", checked[0], lambda: self._place.delete(checked))

    def check_writable(self) -> None:
        """Raises InputError, one line, unless a run can keep its objects here. Leaves nothing behind."""
        try:
            self._patience.bear(self._place.probe)
        except OSError as e:
            raise InputError(f"{self.url}: cannot be written: {told(e)}") from e

    def _asked(self, verb: str, key: str, call: Callable[[], T]) -> T:
        with self._named(verb, key):
            return self._patience.bear(call)

    @contextlib.contextmanager
    def _named(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise StoreError(f"{self.url}: cannot {verb} {key}: {told(e)}", kind=kind_of(e)) from e


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


def _reopen(cls: type[Blobs], url: str, address: str, patience: Patience) -> Blobs:
    place, _ = _place(address)
    return cls(place, url, address, patience)


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


def _bytes(data: bytes | Path) -> bytes:
    return data.read_bytes() if isinstance(data, Path) else data
