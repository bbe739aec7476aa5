"""What only S3 can do or get wrong: buckets, credentials, pages, large objects, answers that never come."""

import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from system import S3Server

from farm.errors import InputError, StoreError
from farm.store.blobs import Blobs
from farm.store.patience import Patience


def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return sorted(key for key, _ in blobs.list(prefix))


@pytest.fixture(params=["moto", "rgw"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


def test_another_process_writes_to_the_same_bucket(moto: S3Server, use_s3: Callable[[S3Server], str]) -> None:
    blobs = Blobs.open(f"{use_s3(moto)}/run")
    assert keys(blobs) == []
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(blobs.put, ("outcomes/a.json", b"{}"))
    assert keys(blobs) == ["outcomes/a.json"]


def test_a_second_witness_finds_keys_and_types(server: S3Server, use_s3: Callable[[S3Server], str]) -> None:
    bucket = use_s3(server)
    Blobs.open(f"{bucket}/runs/spring/").put("clips/a.mp4", b"clip")
    Blobs.open(bucket).put("index.html", b"page")
    with server.client() as client:
        name = bucket.removeprefix("s3://")
        listed = client.list_objects_v2(Bucket=name)["Contents"]
        assert [entry["Key"] for entry in listed] == ["index.html", "runs/spring/clips/a.mp4"]
        head = client.head_object(Bucket=name, Key="runs/spring/clips/a.mp4")
        assert head["ContentType"] == "video/mp4"
    assert keys(Blobs.open(bucket)) == ["index.html", "runs/spring/clips/a.mp4"]


def test_list_and_delete_go_past_one_page(rgw: S3Server, use_s3: Callable[[S3Server], str]) -> None:
    blobs = Blobs.open(f"{use_s3(rgw)}/run")
    names = [f"outcomes/{number:04d}.json" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: blobs.put(name, b"{}"), names))
    assert keys(blobs, "outcomes/") == names
    blobs.delete(names[1:])
    assert keys(blobs) == names[:1]


def test_large_objects_are_whole_and_created_once(
    rgw: S3Server, use_s3: Callable[[S3Server], str], tmp_path: Path
) -> None:
    """Above 100 MB s3fs uploads in parts, and there Ceph ignores the condition."""
    blobs = Blobs.open(use_s3(rgw))
    file = tmp_path / "large"
    file.write_bytes(os.urandom(2**20) * 101)
    blobs.put("put", file)
    other = bytes(101 * 2**20)
    assert blobs.create("put", other) is False
    assert blobs.create("created", file) is True
    assert blobs.create("created", other) is False
    assert dict(blobs.list()) == {"put": 101 * 2**20, "created": 101 * 2**20}


def test_a_missing_bucket_is_told_in_one_line(server: S3Server, use_s3: Callable[[S3Server], str]) -> None:
    use_s3(server)
    blobs = Blobs.open("s3://no-such-bucket-anywhere/run")
    with pytest.raises(
        InputError,
        match=r"^s3://no-such-bucket-anywhere/run: cannot be written: NoSuchBucket; make the bucket, or ",
    ):
        blobs.check_writable()
    for use in (
        lambda: blobs.put("a", b""),
        lambda: blobs.create("a", b""),
        lambda: blobs.get("a"),
        lambda: blobs.delete(["a"]),
        lambda: keys(blobs),
    ):
        with pytest.raises(StoreError, match="NoSuchBucket; make the bucket") as caught:
            use()
        assert caught.value.kind == "missing_bucket" and not caught.value.passing


def test_bad_credentials_are_denied(
    rgw: S3Server, use_s3: Callable[[S3Server], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = use_s3(rgw)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    blobs = Blobs.open(bucket)
    with pytest.raises(
        InputError, match=r"cannot be written: SignatureDoesNotMatch; the secret key does not"
    ):
        blobs.check_writable()
    for use in (
        lambda: blobs.put("a", b""),
        lambda: blobs.get("a"),
        lambda: blobs.exists("a"),
        lambda: keys(blobs),
        lambda: blobs.delete(["a"]),
    ):
        with pytest.raises(StoreError, match="SignatureDoesNotMatch; the secret key") as caught:
            use()
        assert caught.value.kind == "denied" and not caught.value.passing
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDREVOKED")
    with pytest.raises(StoreError, match="InvalidAccessKeyId; the store does not know this access key"):
        Blobs.open(bucket).exists("a")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        InputError, match=r"cannot be written: Unable to locate credentials; set AWS_ACCESS_KEY_ID"
    ):
        Blobs.open(bucket).check_writable()


def test_what_others_must_not_touch_is_not_silently_kept(
    rgw: S3Server, use_s3: Callable[[S3Server], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers a batch of deletes with 200 whatever became of each."""
    bucket = use_s3(rgw)
    blobs = Blobs.open(bucket)
    blobs.put("outcomes/a.json", b"{}")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject"}
    resource = f"arn:aws:s3:::{bucket.removeprefix('s3://')}/*"
    policy = {"Version": "2012-10-17", "Statement": [statement | {"Resource": resource}]}
    with rgw.client() as client:
        client.put_bucket_policy(Bucket=bucket.removeprefix("s3://"), Policy=json.dumps(policy))
    with pytest.raises(StoreError, match=r"1 objects remain, the first outcomes/a\.json") as caught:
        blobs.delete(["outcomes/a.json"])
    assert caught.value.kind == "denied"


def test_a_store_that_is_not_there_is_unreachable(
    moto: S3Server, use_s3: Callable[[S3Server], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match="Could not connect") as caught:
        Blobs.open(bucket, Patience(0)).get("a")
    assert caught.value.kind == "unreachable" and caught.value.passing


def test_credentials_in_an_s3_url_are_refused_and_not_shown() -> None:
    with pytest.raises(InputError, match="AWS_ACCESS_KEY_ID") as caught:
        Blobs.open("s3://AKID:hunter2@bucket/run")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match="names no bucket"):
        Blobs.open("s3://")


def test_opening_s3_writes_nothing_into_the_process(
    moto: S3Server, rgw: S3Server, use_s3: Callable[[S3Server], str]
) -> None:
    """Two runs under two accounts in one process must not meet in fsspec's cache of instances."""
    first = Blobs.open(use_s3(moto))
    first.put("a", b"moto")
    before = dict(os.environ)
    second = Blobs.open(use_s3(rgw))
    after_use = {name for name in os.environ if os.environ[name] != before.get(name)}
    assert after_use <= set(rgw.environment())
    second.put("a", b"rgw")
    assert (first.get("a"), second.get("a")) == (b"moto", b"rgw")
