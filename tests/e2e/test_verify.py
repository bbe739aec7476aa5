"""`farm verify`: every damage is named, and repaired so that the next run makes the run what it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import damaged_runs as damage
import pytest
from damaged_runs import circled, clips, copy, essence, in_one_part, judged, part, put_part, rows, ungather
from small_runs import write_job, write_stills
from system import S3Server

from farm.cli import BAD_INPUT, BROKEN, DONE, SHORT, call
from farm.ids import canonical
from farm.store import layout
from farm.store.blobs import Blobs


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that was run to its end: kept takes, rejected ones, and those of a still that was refused."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_stills(folder / "stills")
    (folder / "stills" / "torn.png").write_bytes((folder / "stills" / "still0.png").read_bytes()[:2000])
    job = write_job(folder, takes={"min": 2, "max": 2}, score={"accept": 0.985})
    assert call(["run", str(job), "--pool", "inline"]) == SHORT
    blobs = Blobs.open(str(folder / "run"))
    in_one_part(blobs)
    statuses = {row["status"] for row in rows(blobs)}
    assert statuses == {"kept", "rejected", "failed"}
    return folder


@pytest.fixture(params=["disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path, use_s3: Callable[[S3Server], str]) -> str:
    if request.param == "disk":
        return str(tmp_path / "run")
    return f"{use_s3(request.getfixturevalue('moto'))}/runs/spring"


@pytest.fixture
def run(undisturbed: Path, place: str) -> Blobs:
    return copy(Blobs.open(str(undisturbed / "run")), Blobs.open(place))


class Farm:
    """The commands on one run, and what they say."""

    def __init__(self, job: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.job, self.place, self._capsys = job, place, capsys

    def verify(self, *options: str) -> tuple[int, dict[str, Any]]:
        self._capsys.readouterr()
        code = call(["verify", self.place, "--json", *options])
        return code, json.loads(self._capsys.readouterr().out)

    def run(self) -> int:
        return call(["run", str(self.job), "--pool", "inline", "--set", f"output={self.place}"])


@pytest.fixture
def farm(undisturbed: Path, place: str, capsys: pytest.CaptureFixture[str]) -> Farm:
    return Farm(undisturbed / "job.yaml", place, capsys)


ON_BOTH = pytest.mark.parametrize("place", ["disk", "moto"], indirect=True)


def words(told: dict[str, Any]) -> set[tuple[str, str]]:
    return {(problem["word"], problem["key"]) for problem in told["problems"]}


@ON_BOTH
def test_an_undisturbed_run_is_clean_and_a_repair_writes_nothing(run: Blobs, farm: Farm) -> None:
    before = {key: run.get(key) for key, _ in run.list() if key != layout.LEASE}
    code, told = farm.verify()
    assert (code, told["problems"]) == (DONE, [])
    assert told["takes"] == len(rows(run)) and told["objects"] == told["sampled"] * 3 == len(judged(run)) * 3
    assert farm.verify("--repair", "--delete-orphans")[0] == DONE
    assert {key: run.get(key) for key, _ in run.list() if key != layout.LEASE} == before


@pytest.mark.parametrize(("word", "spoil"), damage.MENDED, ids=[one.__name__ for _, one in damage.MENDED])
def test_a_damage_is_named_and_made_good(
    word: str, spoil: Callable[[Blobs], str], undisturbed: Path, run: Blobs, farm: Farm
) -> None:
    whole = Blobs.open(str(undisturbed / "run"))
    key = spoil(run)
    damaged = {name: run.get(name) for name, _ in run.list()}

    code, told = farm.verify()
    assert code == SHORT and (word, key) in words(told), told
    assert {name: run.get(name) for name, _ in run.list()} == damaged, "without --repair nothing is written"
    made_good(run, farm, whole)


@pytest.mark.parametrize("place", ["moto"], indirect=True)
def test_damages_to_a_bucket_are_named_and_made_good_together(
    undisturbed: Path, run: Blobs, farm: Farm
) -> None:
    spoils = [
        damage.clip_missing, damage.clip_truncated, damage.poster_broken, damage.clip_altered,
        damage.outcome_left_over, damage.selects_missing,
    ]  # fmt: skip
    expected = {(word, spoil(run)) for word, spoil in damage.MENDED if spoil in spoils}
    code, told = farm.verify()
    assert code == SHORT and expected <= words(told), told
    made_good(run, farm, Blobs.open(str(undisturbed / "run")))


def made_good(run: Blobs, farm: Farm, whole: Blobs) -> None:
    """A repair leaves nothing, deletes no object of a take, and the next run is the run as it was."""
    objects = {name for name, _ in run.list(layout.CLIPS)}
    code, told = farm.verify("--repair")
    assert (code, told["left"]) == (DONE, 0), told
    assert objects <= {name for name, _ in run.list()}
    # What is left of a take that is to be rendered again has no row now.
    assert {word for word, _ in words(farm.verify()[1])} <= {"orphan"}

    assert farm.run() == SHORT
    assert farm.verify()[1]["problems"] == []
    assert essence(run) == essence(whole)
    assert clips(run) == clips(whole)
    assert circled(run) == circled(whole)


def test_outcomes_that_wait_are_no_problem_and_a_repair_gathers_them(run: Blobs, farm: Farm) -> None:
    before = essence(run)
    key = ungather(run, judged(run)[0]["take_id"])
    code, told = farm.verify()
    assert told["pending"] == 1
    # The selects name it, and its outcome is as good as a row.
    assert (code, told["problems"]) == (DONE, [])
    assert farm.verify("--repair")[0] == DONE
    assert essence(run) == before and not run.exists(key)


@ON_BOTH
def test_orphans_go_only_when_told_to_and_only_what_is_named_like_ours(run: Blobs, farm: Farm) -> None:
    stem = f"{layout.CLIPS}still0/push/previz/7-0123abcd"
    orphans = {f"{stem}{ending}" for ending in (".mp4", ".webp", ".strip.webp")}
    ours = {f"{layout.CLIPS}notes.txt", "contact sheet.pdf", f"{layout.TAKES}copy.parquet"}
    for key in orphans | ours:
        run.put(key, b"something")
    expected = {("orphan", key) for key in orphans} | {("stray", key) for key in ours}
    code, told = farm.verify("--repair")
    assert code == SHORT and words(told) == expected and not any(one["done"] for one in told["problems"])
    assert all(run.exists(key) for key in orphans | ours)

    code, told = farm.verify("--repair", "--delete-orphans")
    assert code == SHORT and {one["key"] for one in told["problems"] if one["done"]} == orphans
    assert not any(run.exists(key) for key in orphans) and all(run.exists(key) for key in ours)
    assert words(farm.verify()[1]) == {("stray", key) for key in ours}


@pytest.mark.parametrize("spoil", [damage.key_of_another, damage.no_key])
def test_objects_whose_row_forgot_them_are_not_deleted(
    spoil: Callable[[Blobs], str], run: Blobs, farm: Farm
) -> None:
    before = clips(run)
    spoil(run)
    assert farm.verify("--repair", "--delete-orphans")[0] == DONE
    assert clips(run) == before


def test_where_rows_cannot_be_read_nothing_is_called_an_orphan(run: Blobs, farm: Farm) -> None:
    key, table = part(run)
    run.delete([key])
    broken = put_part(run, 1, table.slice(0, 3))
    run.put(broken, run.get(broken)[:-30])
    rest = put_part(run, 2, table.slice(3))
    code, told = farm.verify("--repair", "--delete-orphans")
    assert code == SHORT and words(told) == {("undecodable", broken)} and told["left"] == 1
    assert run.exists(broken) and run.exists(rest) and len(clips(run)) == len(judged_in(table))


def test_a_part_with_a_row_of_no_take_is_left_as_it_is(run: Blobs, farm: Farm) -> None:
    missing, forgotten = damage.clip_missing(run), judged(run)[1]
    damage.rewrite(run, lambda row: {"take_id": None} if row["take_id"] == forgotten["take_id"] else {})
    key, table = part(run)
    code, told = farm.verify("--repair", "--delete-orphans")
    assert code == SHORT and words(told) >= {("missing", missing), ("undecodable", key)} and told["left"] >= 2
    assert part(run)[1].equals(table) and run.exists(forgotten["clip_uri"])


def judged_in(table: Any) -> list[str]:
    return [uri for uri in table.column("clip_uri").to_pylist() if uri]


def test_an_outcome_of_another_version_is_left_alone(run: Blobs, farm: Farm) -> None:
    key = ungather(run, judged(run)[0]["take_id"])
    outcome = json.loads(run.get(key)) | {"mood": "blue"}
    run.put(key, canonical(outcome).encode())
    before = run.get(key)
    code, told = farm.verify("--repair", "--delete-orphans")
    assert (
        code == SHORT
        and words(told) == {("undecodable", key)}
        and "another version" in told["problems"][0]["detail"]
    )
    assert run.get(key) == before


def test_a_row_of_a_model_that_the_job_does_not_know(run: Blobs, farm: Farm) -> None:
    damage.edit(run, judged(run)[0]["take_id"], model="dream")
    code, told = farm.verify()
    assert code == SHORT and {one["word"] for one in told["problems"]} == {"unknown"}


def test_decoding_may_be_sampled_or_left_out(run: Blobs, farm: Farm) -> None:
    key = damage.clip_no_video(run)
    assert farm.verify("--decode", "none")[1]["problems"] == []
    assert words(farm.verify("--decode", "all")[1]) == {("undecodable", key)}
    counts = [farm.verify("--decode", str(count))[1]["sampled"] for count in (1, 4, 1000)]
    assert counts == sorted(counts) and counts[-1] == len(judged(run)) > counts[0]


def test_people_get_counts_and_a_line_for_each_problem(
    run: Blobs, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = damage.clip_missing(run)
    (Path(place) / "clips" / "a\x1b[2J\udcffb").write_bytes(b"")
    assert call(["verify", place]) == SHORT
    told = capsys.readouterr().out
    assert (
        f"missing {key}, take " in told and "stray clips/a\ufffd[2J\ufffdb" in told and "\x1b[2J" not in told
    )
    assert call(["verify", place, "--repair"]) == SHORT
    assert "[row taken out: farm run renders it again" in capsys.readouterr().out


def test_what_cannot_be_verified_has_its_own_exit_codes(
    tmp_path: Path, moto: S3Server, use_s3: Callable[[S3Server], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["verify", str(tmp_path)]) == BAD_INPUT
    assert call(["verify", str(tmp_path), "--delete-orphans"]) == BAD_INPUT
    use_s3(moto)
    assert call(["verify", "s3://no-such-bucket-here/run"]) in (BAD_INPUT, BROKEN)
    assert capsys.readouterr().err.count("\n") == 3
    for wrong in ("some", "-1", "1.5"):
        with pytest.raises(SystemExit):
            call(["verify", str(tmp_path), "--decode", wrong])
