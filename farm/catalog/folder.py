"""Folders and globs of images, local or in a bucket.

Invariant: the order is that of the paths' code points, as an object store lists its keys, whatever lists them here.
What is held in memory is one folder's listing at a time.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import fsspec
import pyarrow as pa
from fsspec.utils import glob_translate

from farm.catalog.naming import IMAGE_SUFFIXES, checked_id, is_image, printable, without_suffix
from farm.catalog.remote import backend_errors, filesystem, local_path, told
from farm.errors import InputError
from farm.values import Still

_MAGIC = re.compile(r"[*?\[]")


class Folder:
    """All images under a folder, or those that a glob below it names.

    `shown_as` stands for `root` in messages. Names that start with a dot are passed over, folders too.
    """

    remedy = "rename one of them"

    def __init__(self, root: str, shown_as: str, pattern: str | None = None) -> None:
        self._root = root.rstrip("/")
        self._shown = shown_as.rstrip("/")
        self._glob = _Glob(pattern) if pattern else None
        self.what = printable(f"{self._shown}/{pattern}" if pattern else self._shown or "/")
        self.empty = f"no images here; looked for names that end in {' '.join(IMAGE_SUFFIXES)}"

    def screen(self) -> int | None:
        return None

    def ids(self) -> Iterator[tuple[str, str]]:
        return ((still.id, still.where) for still in self.stills())

    def extra_columns(self) -> pa.Schema:
        return pa.schema([])

    def stills(self) -> Iterator[Still]:
        """Raises InputError for a folder that cannot be listed and for a name that makes no id."""
        local = local_path(self._root) is not None
        try:
            system, inside = filesystem(self._root or "/")
            for path in self._walk(system, inside.rstrip("/"), "", _Trail(inside) if local else None):
                where = printable(f"{self._shown}/{path}")
                still_id = checked_id(without_suffix(path), where=where)
                yield Still(id=still_id, uri=f"{self._root}/{path}", where=where)
        except backend_errors() as e:
            raise InputError(f"{self.what}: {told(e, self._root).text}") from None

    def _walk(
        self, system: fsspec.AbstractFileSystem, folder: str, below: str, trail: "_Trail | None"
    ) -> Iterator[str]:
        """Paths relative to the root; `below` is the folder's own, with its slash."""
        for name, is_folder in _entries(system, folder):
            path = f"{below}{name}"
            if not is_folder:
                if is_image(name) and (self._glob is None or self._glob.matches(path)):
                    yield path
            elif self._glob is None or self._glob.may_lie_below(path):
                inner = trail.into(f"{folder}/{name}") if trail else None
                if trail is None or inner is not None:
                    yield from self._walk(system, f"{folder}/{name}", f"{path}/", inner)


class _Glob:
    """A pattern as fsspec reads it: `*`, `?` and `[...]` within a name, `**` for any folders."""

    def __init__(self, pattern: str) -> None:
        self._segments = pattern.split("/")
        try:
            self._path = re.compile(glob_translate(pattern))
        except (ValueError, re.error):
            raise InputError(
                f"{printable(pattern)}: no valid glob; allowed: * ? [...] within names, and ** as a whole folder"
            ) from None
        self._anywhere = self._segments.index("**") if "**" in self._segments else len(self._segments)

    def matches(self, path: str) -> bool:
        return self._path.match(path) is not None

    def may_lie_below(self, folder: str) -> bool:
        """Whether the folder is worth listing, so that `a/*.jpg` does not list all below `a`."""
        names = folder.split("/")
        if len(names) > self._anywhere:
            return True
        return len(names) < len(self._segments) and fnmatchcase(names[-1], self._segments[len(names) - 1])


class _Trail:
    """The real folders that a walk of a local disk is in, so that a link to one of them ends it."""

    def __init__(self, folder: str, above: frozenset[Path] = frozenset()) -> None:
        real = Path(folder).resolve()
        self._real = above | {real} | (frozenset() if above else frozenset(real.parents))

    def into(self, folder: str) -> "_Trail | None":
        if Path(folder).is_symlink() and Path(folder).resolve() in self._real:
            return None
        return _Trail(folder, self._real)


def split_glob(spec: str) -> tuple[str, str] | None:
    """(folder with its slash, pattern below it) of a glob; None for what has no wildcard."""
    start = spec.find("://") + 3 if "://" in spec else 0
    found = _MAGIC.search(spec, start)
    if found is None:
        return None
    cut = max(spec.rfind("/", 0, found.start()) + 1, start)
    return spec[:cut], spec[cut:]


def _entries(system: fsspec.AbstractFileSystem, folder: str) -> list[tuple[str, bool]]:
    """(name, whether it is a folder) in the order of an object store's keys, without hidden ones."""
    # Not from a cache, since files come and go; and none left behind: it would hold every listing of the walk.
    system.invalidate_cache(folder)
    infos = system.ls(folder or "/", detail=True)
    system.invalidate_cache(folder)
    found = []
    for info in infos:
        full = str(info["name"]).strip("/")
        name = full.rpartition("/")[2]
        # A bucket lists the object that marks a folder inside that folder.
        if full != folder.strip("/") and not name.startswith("."):
            # Only local listings have links, and call them neither folder nor file.
            linked = info.get("islink", False) and Path(info["name"]).is_dir()
            found.append((name, info["type"] == "directory" or linked))
    return sorted(set(found), key=lambda entry: entry[0] + "/" * entry[1])
