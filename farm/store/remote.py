"""Objects in a store behind fsspec: any of them, memory, and S3 with what fsspec leaves out.

Invariant: every answer is the store's own, asked for now: no listing is cached, since other processes write too.
All that a store may raise leaves here as OSError, its error code in the message. Nothing is tried again here.
"""

import contextlib
import errno
import functools
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from fsspec import AbstractFileSystem

from farm.store.content_types import headers
from farm.store.disk import version_of
from farm.store.patience import Patience
from farm.store.trouble import NO_CREDENTIALS, Trouble, of_code

_DELETE_AT_ONCE = 1000  # S3's own limit
_CONDITION_FAILED = frozenset({"PreconditionFailed", "412"})
_MAX_PUT_BYTES = 5 * 2**30
# No request takes longer. The limits of s3fs on connecting and reading (5 s and 15 s) do not hold while an upload
# waits for leave to begin: a server that says nothing then would be waited for without end.
_ANSWER_S = 20.0
_SLOWEST_BYTES_S = 100_000


class Remote:
    """See blobs.Place. For a store of which fsspec's common interface is all that is known."""

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")

    def put(self, key: str, data: bytes | Path) -> None:
        self._fs.pipe_file(self._path(key), _bytes(data))

    def create(self, key: str, data: bytes | Path) -> bool:
        try:
            self._fs.pipe_file(self._path(key), _bytes(data), mode="create")
        except FileExistsError:
            return False
        except NotImplementedError as e:
            raise OSError(errno.ENOTSUP, "cannot create exclusively") from e
        return True

    def get(self, key: str) -> bytes:
        data: bytes = self._fs.cat_file(self._path(key))
        return data

    def read(self, key: str) -> tuple[bytes, str]:
        data = self.get(key)
        return data, version_of(data)

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        # fsspec has no word for it.
        raise OSError(errno.ENOTSUP, "cannot replace a version of an object and no other")

    def exists(self, key: str) -> bool:
        try:
            return bool(self._fs.info(self._path(key))["type"] == "file")
        except FileNotFoundError:
            return False

    def list(self, prefix: str, patience: Patience) -> Iterator[tuple[str, int]]:
        self._fs.invalidate_cache()
        top = self._path(prefix.rpartition("/")[0])
        found = patience.bear(lambda: self._fs.find(top, detail=True))
        for path, info in found.items():
            key = path[len(self._root) + 1 :]
            if key.startswith(prefix):
                yield key, int(info["size"])

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(key))

    def probe(self) -> None:
        """Does all that a run will do, with one small object that is removed again."""
        key = f"probe-{uuid4().hex}"
        try:
            if not self.create(key, b"probe"):
                # Ours, its answer lost, and sent again by a library, is the one other way to come here.
                raise Trouble("unavailable", "says that an object exists which does not")
            if self.create(key, b"again"):
                raise OSError(
                    errno.ENOTSUP,
                    "overwrites what must only be created, so two runs could not be kept apart; "
                    "allowed: a folder, or a store that honours conditional writes (If-None-Match)",
                )
            if [found for found, _ in self.list(key, Patience(0))] != [key] or self.get(key) != b"probe":
                raise OSError(errno.EIO, "does not give back what was just written")
        finally:
            self.delete([key])

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root


class Memory(Remote):
    """fsspec's `memory://`: one per process, for tests and trials."""

    # MemoryFileSystem looks first and writes then; its objects are the process's, so the lock is too.
    _deciding: ClassVar = threading.Lock()

    def create(self, key: str, data: bytes | Path) -> bool:
        with self._deciding:
            return super().create(key, data)

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        with self._deciding:
            if not self.exists(key) or self.read(key)[1] != version:
                return None
            self.put(key, data)
        return version_of(data)


class S3(Remote):
    """S3 and what speaks its language. Endpoint and credentials come from the standard AWS environment."""

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        super().__init__(fs, root)
        # s3fs tries five times what botocore tries five times; patience.py is the one that tries again.
        fs.retries = 1
        fs.config_kwargs = {**fs.config_kwargs, "retries": {"total_max_attempts": 1}}
        self._bucket, _, folder = self._root.partition("/")
        self._folder = f"{folder}/" if folder else ""

    def put(self, key: str, data: bytes | Path) -> None:
        with _as_os_errors():
            whole = _bytes(data)
            self._fs.pipe_file(self._path(key), whole, timeout=_limit_s(whole), **headers(key))

    def create(self, key: str, data: bytes | Path) -> bool:
        with _as_os_errors():
            return self._create(key, _bytes(data))

    def get(self, key: str) -> bytes:
        with _as_os_errors():
            # In one request: else s3fs asks for the size first, an answer that cannot name a missing bucket.
            data: bytes = self._fs.cat_file(self._path(key), max_concurrency=1)
            return data

    def read(self, key: str) -> tuple[bytes, str]:
        # Asked for first: a version that is older than the content replaces nothing, one that is newer might.
        version = self._etag(key)
        if version is None:
            raise FileNotFoundError(errno.ENOENT, "NoSuchKey")
        return self.get(key), version

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        with _as_os_errors():
            for condition in (version, f'"{version}"'):  # Ceph knows an ETag only without its quotes
                try:
                    answer = self._call(
                        "put_object", Key=self._folder + key, Body=data, IfMatch=condition, **headers(key)
                    )
                    return _unquoted(answer["ETag"])
                except FileNotFoundError:
                    return None
                except OSError as e:
                    if _code(e) not in {*_CONDITION_FAILED, "ConditionalRequestConflict"}:
                        raise
                if self._etag(key) != version:
                    break
            return None

    def exists(self, key: str) -> bool:
        return self._etag(key) is not None

    def list(self, prefix: str, patience: Patience) -> Iterator[tuple[str, int]]:
        # Not fs.find: that holds every key of the run before it gives the first.
        more: dict[str, str] = {}
        while True:
            page = patience.bear(functools.partial(self._page, prefix, more))
            for entry in page.get("Contents", ()):
                yield entry["Key"][len(self._folder) :], int(entry["Size"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, keys: Iterable[str]) -> None:
        # Not fs.rm: that is silent about what could not be removed.
        names = [{"Key": self._folder + key} for key in keys]
        for start in range(0, len(names), _DELETE_AT_ONCE):
            batch = {"Objects": names[start : start + _DELETE_AT_ONCE], "Quiet": True}
            with _as_os_errors():
                failed = self._call("delete_objects", Delete=batch).get("Errors", ())
            if failed:
                code, first = failed[0].get("Code", ""), failed[0].get("Key")
                raise of_code(code, f"{code}: {len(failed)} objects remain, the first {first}")

    def _page(self, prefix: str, more: dict[str, str]) -> Any:
        with _as_os_errors():
            return self._call("list_objects_v2", Prefix=self._folder + prefix, **more)

    def _create(self, key: str, data: bytes) -> bool:
        try:
            # In one request whatever its size: Ceph ignores the condition on an upload in parts.
            self._fs.pipe_file(
                self._path(key),
                data,
                mode="create",
                chunksize=_MAX_PUT_BYTES,
                timeout=_limit_s(data),
                **headers(key),
            )
        except FileExistsError:
            return False
        except OSError as e:
            if _code(e) in _CONDITION_FAILED:  # s3fs knows only AWS's own form of this answer
                return False
            raise
        return True

    def _etag(self, key: str) -> str | None:
        # Not fs.info: that takes a prefix of other keys for a folder, with a second request.
        with _as_os_errors():
            try:
                return _unquoted(self._call("head_object", Key=self._folder + key)["ETag"])
            except FileNotFoundError:
                return None
            except OSError as e:
                if _code(e) in {"400", "403"}:
                    # The answer to HEAD has no body that could say why; that to a listing has.
                    self._call("list_objects_v2", MaxKeys=1, Prefix=self._folder + key)
                raise

    def _call(self, method: str, **arguments: object) -> Any:
        return self._fs.call_s3(method, Bucket=self._bucket, timeout=_ANSWER_S, **arguments)


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """S3's own errors as the OSErrors they amount to, each with the code that S3 gave."""
    from aiohttp import ClientError as HttpError
    from botocore import exceptions as boto  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

    no_credentials = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.TokenRetrievalError,
        boto.ProfileNotFound,
    )
    try:
        yield
    except Trouble:
        raise
    # Before OSError, which some of botocore's errors are too.
    except no_credentials as e:
        raise Trouble("denied", _line(e), NO_CREDENTIALS) from e
    except boto.SSLError as e:
        raise Trouble("other", _line(e), "check the certificate of AWS_ENDPOINT_URL") from e
    except (boto.ReadTimeoutError, boto.ConnectTimeoutError) as e:
        raise Trouble("timeout", _line(e)) from e
    except (boto.HTTPClientError, boto.ConnectionError, HttpError) as e:
        raise Trouble("unreachable", _line(e)) from e
    except OSError as e:
        code = _code(e)
        if code:
            raise of_code(code) from e
        raise
    except ResponseParserError as e:  # a gateway's own page instead of S3's answer
        raise Trouble("unavailable", _line(e)) from e
    except boto.BotoCoreError as e:
        raise OSError(errno.EINVAL, _line(e)) from e


def _code(e: OSError) -> str:
    """S3's word for what went wrong ("NoSuchBucket"); empty when S3 never answered."""
    response = getattr(e.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _unquoted(etag: str) -> str:
    return etag.strip('"')


def _bytes(data: bytes | Path) -> bytes:
    return data.read_bytes() if isinstance(data, Path) else data


def _limit_s(data: bytes) -> float:
    return _ANSWER_S + len(data) / _SLOWEST_BYTES_S


def _line(e: Exception) -> str:
    return " ".join(str(e).split())
