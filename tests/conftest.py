"""What all tests share: a world of their own (home, credentials, proxies) and real S3 servers."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from faulty_proxy import FaultyProxy, faulty_proxy
from rgw import running_rgw
from system import S3Server, answers, free_port, need_system, process, wait_until

from farm.store.blobs import Blobs


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("system"):
        need_system(*marker.args)


@pytest.fixture(scope="session", autouse=True)
def own_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test depends on, or writes to, what the person who runs it has at home."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("FARM_SPOOL", str(home / "spool"))
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", str(home / "no-aws-config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "no-aws-credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost,::1")
        yield


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto's S3 in a process of its own: quick, and it lets anybody in."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with process(command, tmp_path_factory.mktemp("moto") / "moto.log"):
        wait_until(lambda: answers(port), "moto")
        yield S3Server(f"http://127.0.0.1:{port}", "anybody", "anything")


@pytest.fixture(scope="session")
def rgw() -> Iterator[S3Server]:
    """Ceph's S3 gateway: slower to start, and strict."""
    need_system("radosgw")
    with running_rgw() as server:
        yield server


@pytest.fixture
def use_s3(monkeypatch: pytest.MonkeyPatch) -> Callable[[S3Server], str]:
    """Puts a server into the environment for one test and makes a bucket: `use_s3(moto)` -> "s3://<bucket>"."""

    def use(server: S3Server) -> str:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        bucket = f"farm-{uuid4().hex[:12]}"
        with server.client() as client:
            client.create_bucket(Bucket=bucket)
        return f"s3://{bucket}"

    return use


@pytest.fixture
def proxy(moto: S3Server) -> Iterator[FaultyProxy]:
    """A proxy in front of moto that misbehaves when told to."""
    with faulty_proxy(moto.endpoint) as one:
        yield one


@pytest.fixture
def bucket(
    moto: S3Server, use_s3: Callable[[S3Server], str], proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The URL of an empty bucket that is reached through `proxy`."""
    made = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    return made


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A family's tiny random checkpoint as a folder, built when it is first asked for."""
    from tiny_models import save  # torch, diffusers and transformers: seconds

    folder = tmp_path_factory.mktemp("models")
    return lambda family: folder / family if (folder / family).exists() else save(family, folder / family)


@pytest.fixture(params=["local", "memory", "moto", "rgw"])
def output(request: pytest.FixtureRequest, tmp_path: Path, use_s3: Callable[[S3Server], str]) -> str:
    """The URL of an empty place, once on each kind of store."""
    kind: str = request.param
    if kind == "local":
        return str(tmp_path / "runs" / "spring")
    if kind == "memory":
        return f"memory://{uuid4().hex}/spring"
    return f"{use_s3(request.getfixturevalue(kind))}/runs/spring"


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty run in a folder of its own."""
    return Blobs.open(str(tmp_path / "run"))
