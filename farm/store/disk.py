"""Objects as files under a folder.

Invariant: under its own name a file is whole or not there, also after a crash or a power cut: it is written and
synced under a name that no reader's glob matches, then renamed or linked, and the folder synced.
"""

import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from farm.store.patience import Patience

# What os.link answers on file systems without hard links (exFAT, SMB, buckets mounted through FUSE).
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class Disk:
    """See blobs.Place. Raises OSError."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes | Path) -> None:
        target = self._root / key
        with _written(target, data) as path:
            path.replace(target)
        _sync_folder(target.parent)

    def create(self, key: str, data: bytes | Path) -> bool:
        target = self._root / key
        with _written(target, data) as path:
            try:
                os.link(path, target)
            except FileExistsError:
                return False
            except OSError as e:
                if e.errno not in _NO_LINKS:
                    raise
                return _claim(path, target)
        _sync_folder(target.parent)
        return True

    def get(self, key: str) -> bytes:
        return (self._root / key).read_bytes()

    def read(self, key: str) -> tuple[bytes, str]:
        data = self.get(key)
        return data, version_of(data)

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        target = self._root / key
        if not target.parent.is_dir():
            return None
        with _alone(target):
            if not target.is_file() or version_of(target.read_bytes()) != version:
                return None
            self.put(key, data)
        return version_of(data)

    def exists(self, key: str) -> bool:
        return (self._root / key).is_file()

    def list(self, prefix: str, patience: Patience) -> Iterator[tuple[str, int]]:
        folders = [self._root / prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            entries = patience.bear(functools.partial(_entries, folder))
            for entry in entries:
                if entry.is_dir():
                    folders.extend(() if entry.is_symlink() else (Path(entry.path),))
                    continue
                key = Path(entry.path).relative_to(self._root).as_posix()
                if key.startswith(prefix) and not entry.name.startswith("."):
                    # Another process may delete between the listing and the look.
                    with contextlib.suppress(FileNotFoundError):
                        yield key, Path(entry.path).stat().st_size

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            target = self._root / key
            target.unlink(missing_ok=True)
            _lock_of(target).unlink(missing_ok=True)

    def probe(self) -> None:
        """Writes and removes a file where the root stands or, while it does not, in what it would be made in."""
        standing = self._root
        while not os.path.lexists(standing):
            standing = standing.parent
        if not standing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"a file stands where a folder should be: {standing}")
        with _written(standing / "probe", b"probe"):
            pass


def version_of(data: bytes) -> str:
    """A version for stores that know none: who must tell two apart writes no content twice."""
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Nobody else replaces `target` meanwhile, on this machine or, where locks reach that far, on another.

    The lock goes with the process that holds it. Its file stays as long as the target: two who lock it must lock the
    same one.
    """
    # Made readable and writable by whoever may write here, as far as the umask lets: another account may take over.
    handle = os.open(_lock_of(target), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _written(target: Path, data: bytes | Path) -> Iterator[Path]:
    """A synced temporary file beside `target`; it is gone afterwards, unless it was renamed."""
    _make_folder(target.parent)
    path = target.parent / f".{uuid4().hex}.tmp"
    try:
        _write(path, data)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, data: bytes | Path) -> None:
    # Not tempfile: it makes files that nobody else may read, whatever the umask says.
    with path.open("xb") as file:
        if isinstance(data, Path):
            with data.open("rb") as source:
                shutil.copyfileobj(source, file, 2**20)
        else:
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _claim(path: Path, target: Path) -> bool:
    """Exclusive creation without hard links. Here, and only here, a crash may leave a short file."""
    try:
        _write(target, path)
    except FileExistsError:
        return False
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(
                errno.ENOTDIR, f"a file stands where a folder should be: {folder}"
            ) from None
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems cannot sync a folder; the file itself is synced there all the same.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What stands in a folder; nothing where there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        return list(found)
    return []


def _lock_of(target: Path) -> Path:
    return target.parent / f".{target.name}.lock"
