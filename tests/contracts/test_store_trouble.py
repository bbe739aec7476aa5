"""What becomes of requests when the way to a real S3 server is bad: a proxy in front of moto stalls, cuts, refuses."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faulty_proxy import FaultyProxy, faulty_proxy
from s3fs import S3FileSystem
from system import S3Server

from farm.errors import PASSING, StoreError
from farm.store import remote
from farm.store.blobs import Blobs
from farm.store.patience import Patience


@dataclass
class VirtualClock:
    """Nobody waits; `then` is what happens at the first sleep."""

    at_s: float = 0.0
    then: Callable[[], None] = lambda: None
    slept: list[float] = field(default_factory=list)

    def monotonic_s(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_s += seconds
        self.then()


def direct(bucket: str, moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """The same bucket, without the proxy: what is really there."""
    blobs = Blobs.open(bucket)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
        list(blobs.list())  # connects
    return blobs


CALLS: dict[str, Callable[[Blobs], object]] = {
    "put": lambda blobs: blobs.put("new", b"new"),
    "create": lambda blobs: blobs.create("new", b"new"),
    "get": lambda blobs: blobs.get("old"),
    "exists": lambda blobs: blobs.exists("old"),
    "list": lambda blobs: sorted(blobs.list()),
    "delete": lambda blobs: blobs.delete(["old"]),
    "check_writable": lambda blobs: blobs.check_writable(),
}
FAULTS: dict[str, tuple[Callable[[FaultyProxy], None], set[str]]] = {
    "refuse": (lambda proxy: proxy.refuse(), {"unreachable"}),
    "cut": (lambda proxy: proxy.cut(0), {"unreachable"}),
    "swallow": (lambda proxy: proxy.swallow(), {"unreachable"}),
    "stall": (lambda proxy: proxy.stall(), {"timeout"}),
    "slow down": (lambda proxy: proxy.answer_503(), {"throttled", "unavailable"}),  # HEAD has no body to tell
    "unavailable": (lambda proxy: proxy.answer_503("ServiceUnavailable"), {"unavailable"}),
}


@pytest.mark.parametrize(
    ("fault", "call"),
    [(fault, call) for fault in FAULTS for call in CALLS if call != "check_writable"],
)
def test_trouble_is_named_and_told_in_one_line(
    call: str, fault: str, proxy: FaultyProxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "stall":  # else it takes 20 s to notice
        monkeypatch.setattr(S3FileSystem, "read_timeout", 2)
        monkeypatch.setattr(remote, "_ANSWER_S", 2.0)
    blobs = Blobs.open(bucket, Patience(0))
    begin, kinds = FAULTS[fault]
    begin(proxy)
    with pytest.raises(StoreError) as caught:
        CALLS[call](blobs)
    assert caught.value.kind in kinds <= PASSING and caught.value.passing
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["refuse", "swallow"])
def test_every_call_goes_on_when_the_trouble_is_over(
    call: str, fault: str, proxy: FaultyProxy, bucket: str
) -> None:
    clock = VirtualClock(then=proxy.heal)
    blobs = Blobs.open(bucket, Patience(60, clock))
    blobs.put("old", b"old")
    FAULTS[fault][0](proxy)
    answer = CALLS[call](blobs)
    assert len(clock.slept) <= 1, "at most one: the HTTP client sends some requests again by itself"
    expected = {"create": True, "get": b"old", "exists": True, "list": [("old", 3)]}
    assert answer == expected.get(call)
    there = {"put": {"old": 3, "new": 3}, "create": {"old": 3, "new": 3}, "delete": {}}
    assert dict(blobs.list()) == there.get(call, {"old": 3})


def test_a_creation_whose_answer_was_lost_is_known_to_be_ours(proxy: FaultyProxy, bucket: str) -> None:
    ours, theirs = (Blobs.open(bucket, Patience(60, VirtualClock(then=proxy.heal))) for _ in range(2))
    proxy.swallow(method="PUT", times=1)
    assert ours.create("lease.json", b"ours") is True
    proxy.cut(0, method="PUT", times=1)
    assert theirs.create("lease.json", b"theirs") is False
    assert ours.get("lease.json") == b"ours"


def test_what_is_cut_in_the_middle_of_an_upload_is_never_seen(
    moto: S3Server, proxy: FaultyProxy, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    witness = direct(bucket, moto, monkeypatch)
    blobs = Blobs.open(bucket, Patience(0))
    old, new = os.urandom(2**20), tmp_path / "clip.mp4"
    new.write_bytes(os.urandom(2**20))
    witness.put("clips/old.mp4", old)
    for after_bytes in (1, 2**19, 2**20 - 1):
        proxy.cut(after_bytes, method="PUT")
        for write in (blobs.put, blobs.create):
            with pytest.raises(StoreError) as caught:
                write("clips/new.mp4", new)
            assert caught.value.kind == "unreachable"
        with pytest.raises(StoreError):
            blobs.put("clips/old.mp4", new)
        assert proxy.struck >= 3
        assert dict(witness.list()) == {"clips/old.mp4": 2**20}
        assert witness.get("clips/old.mp4") == old
    proxy.heal()
    blobs.put("clips/new.mp4", new)
    assert witness.get("clips/new.mp4") == new.read_bytes()


def test_an_upload_in_parts_that_is_cut_is_never_seen(
    moto: S3Server, proxy: FaultyProxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above 100 MB; the parts that had arrived are removed, or they would cost for ever."""
    witness = direct(bucket, moto, monkeypatch)
    proxy.cut(2**20, method="PUT")
    large = bytes(101 * 2**20)
    with pytest.raises(StoreError) as caught:
        Blobs.open(bucket, Patience(0)).put("large", large)
    assert caught.value.kind == "unreachable"
    assert dict(witness.list()) == {}
    with moto.client() as client:
        assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket.removeprefix("s3://"))


def test_a_body_that_is_cut_on_its_way_here_is_read_again(
    moto: S3Server, proxy: FaultyProxy, bucket: str
) -> None:
    clock = VirtualClock()
    blobs = Blobs.open(bucket, Patience(60, clock))
    content = os.urandom(2**20)
    blobs.put("part", content)
    proxy.cut_answer(2**18, method="GET", times=2)
    assert blobs.get("part") == content
    assert len(clock.slept) == 2


def test_nobody_below_tries_again_on_its_own(proxy: FaultyProxy, bucket: str) -> None:
    """s3fs and botocore would: twenty-five requests where a store has asked for fewer."""
    proxy.answer_503()
    with pytest.raises(StoreError, match="SlowDown") as caught:
        Blobs.open(bucket, Patience(0)).get("old")
    assert (caught.value.kind, proxy.struck) == ("throttled", 1)


def test_patience_ends_and_says_how_long_it_lasted(proxy: FaultyProxy, bucket: str) -> None:
    clock = VirtualClock()
    blobs = Blobs.open(bucket, Patience(60, clock))
    proxy.refuse()
    with pytest.raises(
        StoreError, match=r"cannot write a: .* \(tried \d+ times in \d+ s\); check the network"
    ) as caught:
        blobs.put("a", b"")
    assert caught.value.kind == "unreachable"
    assert 30 < clock.at_s <= 60


def test_a_listing_goes_on_where_it_was_cut(
    rgw: S3Server, use_s3: Callable[[S3Server], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_proxy(rgw.endpoint) as proxy:
        bucket = use_s3(rgw)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        blobs = Blobs.open(bucket, Patience(60, VirtualClock(then=proxy.heal)))
        names = [f"{number:04d}" for number in range(1005)]
        for name in names:
            blobs.put(name, b"")
        listed = blobs.list()
        seen = [next(listed)[0]]
        proxy.answer_503(method="GET", times=1)
        seen += [key for key, _ in listed]
        assert seen == names


def test_no_permission_is_told_apart_and_not_waited_for(
    rgw: S3Server, use_s3: Callable[[S3Server], str]
) -> None:
    bucket = use_s3(rgw)
    clock = VirtualClock()
    blobs = Blobs.open(bucket, Patience(60, clock))
    blobs.put("old", b"old")
    statement = {"Effect": "Deny", "Principal": "*", "Action": ["s3:PutObject", "s3:GetObject"]}
    resource = f"arn:aws:s3:::{bucket.removeprefix('s3://')}/*"
    policy = {"Version": "2012-10-17", "Statement": [statement | {"Resource": resource}]}
    with rgw.client() as client:
        client.put_bucket_policy(Bucket=bucket.removeprefix("s3://"), Policy=json.dumps(policy))
    for call in (CALLS["put"], CALLS["create"], CALLS["get"]):
        with pytest.raises(StoreError, match=r"AccessDenied; let these credentials .* write") as caught:
            call(blobs)
        assert caught.value.kind == "denied" and not caught.value.passing
    assert clock.slept == []


@pytest.mark.parametrize(
    ("code", "kind"), [("ExpiredToken", "expired"), ("QuotaExceeded", "disk_full"), ("Unheard", "other")]
)
def test_what_nobody_waits_for(code: str, kind: str, proxy: FaultyProxy, bucket: str) -> None:
    """Neither server can be brought to say these; the words are S3's and Ceph's."""
    clock = VirtualClock()
    proxy.answer_503(code)
    with pytest.raises(StoreError, match=f"cannot read old: {code}") as caught:
        Blobs.open(bucket, Patience(60, clock)).get("old")
    assert (caught.value.kind, caught.value.passing, clock.slept) == (kind, False, [])
