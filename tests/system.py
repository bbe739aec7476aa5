"""What tests need of the system: programs that may be missing, ports, and processes that end with the test."""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# part -> (the programs that make it up, how it is installed)
PARTS = {
    "radosgw": (
        ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool"),
        "apt-get install --no-install-recommends radosgw ceph-mon ceph-osd",
    ),
    "exiftool": (("exiftool",), "apt-get install --no-install-recommends libimage-exiftool-perl"),
}


def need_system(part: str) -> None:
    """Skips the test where a part of the system is missing; in CI (CI=true) that is a failure."""
    programs, install = PARTS[part]
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    message = f"{', '.join(missing)} not found: {install}"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@dataclass(frozen=True)
class S3Server:
    """An S3 server on this machine, and how one is let in."""

    endpoint: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            # Ceph 16 does not know the checksums that newer clients send unasked.
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """A boto3 client, as a second witness beside s3fs."""
        from botocore.config import Config

        made = _boto_session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(
                request_checksum_calculation="when_required", response_checksum_validation="when_required"
            ),
        )
        try:
            yield made
        finally:
            made.close()


@functools.cache
def _boto_session() -> Any:
    # One for all: each reads its description of S3 anew, which takes longer than most tests.
    import boto3

    return boto3.session.Session()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(ready: Callable[[], bool], what: str, *, limit_s: float = 60) -> None:
    """Waits until `ready()`; fails the test after `limit_s`, which is for hangs only."""
    deadline = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not ready after {limit_s:g} s", pytrace=False)
        time.sleep(0.1)


@contextlib.contextmanager
def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in `log`, stopped at the end, by force if it must be."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as running,
    ):
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(timeout=10)
            except subprocess.TimeoutExpired:
                running.kill()
