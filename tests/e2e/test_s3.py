"""A whole run with its stills and its output on a real S3 server."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import duckdb
import pyarrow.parquet as pq
from small_runs import essence, farm, takes, write_job, write_stills
from system import S3Server

from farm.cli import BAD_INPUT, DONE, SHORT, call


def test_a_run_on_s3_is_the_run_on_a_disk(
    tmp_path: Path, rgw: S3Server, use_s3: Callable[[S3Server], str]
) -> None:
    bucket = use_s3(rgw)
    local = write_job(tmp_path / "local")
    assert call(["run", str(local), "--pool", "inline"]) in (DONE, SHORT)

    with rgw.client() as client:
        for still in sorted((tmp_path / "local" / "stills").iterdir()):
            client.upload_file(str(still), bucket.removeprefix("s3://"), f"stills/{still.name}")
    job = write_job(tmp_path, stills=f"{bucket}/stills", output=f"{bucket}/runs/spring")
    told = farm("run", job)  # on Ray: its workers write to the bucket themselves
    assert told.returncode in (DONE, SHORT), told.stderr
    assert rgw.secret_key not in told.stdout + told.stderr
    download(rgw, bucket, tmp_path / "copy")

    run = tmp_path / "copy" / "runs" / "spring"
    assert [without_place(row) for row in essence(run)] == [
        without_place(row) for row in essence(local.parent / "run")
    ]
    assert not list((run / "outcomes").glob("*"))
    for row in takes(run).to_pylist():
        with av.open(run / row["clip_uri"]) as clip:
            assert len(list(clip.decode(video=0))) == row["span_stop"] - row["span_start"]
            assert clip.streams.video[0].average_rate == Fraction(row["fps"])
    assert pq.read_table(run / "selects.parquet").num_rows == 4
    assert duckdb.sql(f"select count(*) from '{run}/takes/*.parquet'").fetchall() == [(len(takes(run)),)]

    # The same command again renders nothing.
    with rgw.client() as client:
        before = {one["Key"]: one["LastModified"] for one in listed(client, bucket)}
        assert farm("run", job).returncode == told.returncode
        after = {one["Key"]: one["LastModified"] for one in listed(client, bucket)}
    rewritten = {key for key in before if before[key] != after.get(key)}
    assert (
        rewritten <= {f"runs/spring/{name}" for name in ("selects.parquet", "summary.json", "lease.json")}
        and before.keys() == after.keys()
    )


def test_a_missing_bucket_and_wrong_keys_are_one_line(
    tmp_path: Path, rgw: S3Server, use_s3: Callable[[S3Server], str], monkeypatch, capsys
) -> None:
    use_s3(rgw)
    write_stills(tmp_path / "stills")
    job = write_job(tmp_path, output="s3://no-such-bucket-here/run")
    assert call(["run", str(job), "--pool", "inline"]) == BAD_INPUT
    told = capsys.readouterr().err
    assert "no-such-bucket-here" in told and told.count("\n") == 1
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    assert call(["run", str(job), "--pool", "inline"]) == BAD_INPUT
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "not-the-secret" not in told


def without_place(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "still_uri"}


def listed(client, bucket: str) -> list[dict]:
    return client.list_objects_v2(Bucket=bucket.removeprefix("s3://")).get("Contents", [])


def download(server: S3Server, bucket: str, folder: Path) -> None:
    with server.client() as client:
        for one in listed(client, bucket):
            path = folder / one["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket.removeprefix("s3://"), one["Key"], str(path))
