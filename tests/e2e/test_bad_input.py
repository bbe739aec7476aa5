"""Everything a person can get wrong: one line with what, where and what is allowed; exit 2; nothing written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import write_job, write_stills

from farm.cli import BAD_INPUT, INTERRUPTED, call


def refused(capsys, *arguments: str | Path) -> str:
    """The one line that a command was refused with."""
    assert call([str(argument) for argument in arguments]) == BAD_INPUT
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("farm: ") and told.err.count("\n") == 1 and "Traceback" not in told.err
    return told.err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"take": {"min": 1}}, ["take: unknown key", "did you mean 'takes'", "stills, motions"]),
        ({"takes": {"min": 5, "max": 4}}, ["takes", "min=5 is more than max=4", "min <= max"]),
        ({"takes": {"min": "two"}}, ["takes.min='two'", "whole number"]),
        ({"takes": {"min": 0}}, ["takes.min=0", "greater than or equal to 1"]),
        ({"takes": {"mni": 1}}, ["takes.mni: unknown key", "did you mean 'min'"]),
        ({"render": {"frames": 1}}, ["render.frames=1"]),
        ({"render": {"frames": 10, "seconds": 2}}, ["render", "give seconds or frames, not both"]),
        ({"render": {"size": "big"}}, ["render.size='big'"]),
        ({"render": {"size": "101x64"}}, ["render.size=101x64", "try 100x64"]),
        ({"render": {"steps": 20}}, ["render.steps=20", "previz has no steps"]),
        ({"render": {"fps": "fast"}}, ["render.fps='fast'" , "24000/1001"]),
        ({"score": {"accept": 1.5}}, ["score.accept=1.5"]),
        ({"models": []}, ["models"]),
        ({"models": ["wan9"]}, ["unknown model 'wan9'", "allowed: ", "previz", "wan2.1-i2v"]),
        ({"models": [{"name": "previz", "dtype": "bf16"}]}, ["dtype='bf16'", "not an option of previz"]),
        ({"models": ["previz", "previz"]}, ["'previz' stands twice"]),
        ({"motions": []}, ["motions"]),
        ({"motions": ["no-such-motion"]}, ["no-such-motion"]),
        ({"motions": "nowhere.yaml"}, ["nowhere.yaml"]),
        ({"motions": [{"id": "a", "prompt": "x", "camera": "dolly-zoom"}]}, ["camera", "dolly-zoom", "push-in"]),
        ({"motions": [{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}]}, ["'a'"]),
        ({"stills": "/no/such/folder"}, ["/no/such/folder"]),
        ({"workers": {"max": 0}}, ["workers.max=0"]),
        ({"budget": {"usd": -1}}, ["budget.usd=-1"]),
        ({"budget": {"euros": 1}}, ["budget.euros: unknown key", "usd, hours"]),
        ({"output": "s4://bucket/run"}, ["s4://bucket/run"]),
        ({"output": None}, ["output"]),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_wrong_job(tmp_path, capsys, changes, told):
    line = refused(capsys, "run", write_job(tmp_path, **changes), "--pool", "inline")
    for words in told:
        assert words in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["stills", "motions", "models", "output"])
def test_what_is_missing_is_named(tmp_path, capsys, key):
    path = write_job(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    start = next(at for at, line in enumerate(lines) if line.startswith(f"{key}:"))
    stop = next(
        at for at in range(start + 1, len(lines) + 1) if at == len(lines) or lines[at][:1] not in " -"
    )
    path.write_text("".join(lines[:start] + lines[stop:]))
    assert f"{key}: is required" in refused(capsys, "run", path)


def test_a_job_file_that_is_not_there_or_not_a_job(tmp_path, capsys):
    assert "no such file" in refused(capsys, "run", tmp_path / "none.yaml")
    for text, told in [
        ("a: [1, 2", "not valid YAML"),
        ("just words", "expected a job"),
        ("", "expected a job"),
        ("name: a\nname: b\n", "'name' stands twice"),
        ("name: 2026-13-45\n", "not valid YAML"),
    ]:
        (tmp_path / "job.yaml").write_text(text)
        line = refused(capsys, "plan", tmp_path / "job.yaml")
        assert told in line and "job.yaml" in line
    (tmp_path / "job.yaml").write_bytes(b"name: \xff\xfe\n")
    assert "UTF-8" in refused(capsys, "plan", tmp_path / "job.yaml")


def test_an_empty_catalog(tmp_path, capsys):
    (tmp_path / "stills").mkdir()
    assert str(tmp_path / "stills") in refused(capsys, "run", write_job(tmp_path))
    (tmp_path / "c.csv").write_text("image\n")
    assert "c.csv" in refused(capsys, "run", write_job(tmp_path, stills=str(tmp_path / "c.csv")))
    (tmp_path / "c.csv").write_text("picture\na.png\n")
    assert "image" in refused(capsys, "run", write_job(tmp_path, stills=str(tmp_path / "c.csv")))


def test_duplicate_ids_name_both_rows(tmp_path, capsys):
    write_stills(tmp_path / "stills")
    (tmp_path / "c.csv").write_text(
        "id,image\na,stills/still0.png\nb,stills/still1.png\na,stills/still1.png\n"
    )
    line = refused(capsys, "run", write_job(tmp_path, stills=str(tmp_path / "c.csv")))
    assert "'a'" in line and "2" in line and "4" in line
    (tmp_path / "stills" / "still0.jpg").write_bytes(b"x")
    line = refused(capsys, "run", write_job(tmp_path))
    assert "still0.jpg" in line and "still0.png" in line


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write anywhere; run the tests as a user to see this one"
)
def test_an_output_without_permission(tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in refused(capsys, "run", write_job(tmp_path, output=str(tmp_path / "locked" / "run")))


def test_an_output_under_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert "file" in refused(capsys, "run", write_job(tmp_path, output=str(tmp_path / "file" / "run")))
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("text", ["[]", "{}", "not JSON", "\x00"])
def test_a_folder_with_a_job_json_of_somebody_elses(tmp_path, capsys, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "job.json").write_text(text)
    for command in (["run", write_job(tmp_path), "--pool", "inline"], ["status", tmp_path / "run"]):
        assert "job.json: was not written by farm" in refused(capsys, *command)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["job.json"]


def test_ctrl_c_before_the_run_began_is_one_line(tmp_path):
    code = "import sys; from farm import cli; sys.excepthook = cli._unforeseen; raise KeyboardInterrupt"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == INTERRUPTED
    assert done.stderr.startswith("farm: interrupted") and done.stderr.count("\n") == 1


def test_overrides_are_checked_like_the_job(tmp_path, capsys):
    job = write_job(tmp_path)
    assert "takes" in refused(capsys, "run", job, "--set", "takes.min=9")
    assert "expected KEY=VALUE" in refused(capsys, "run", job, "--set", "takes.min")
    assert "name holds a single value" in refused(capsys, "run", job, "--set", "name.first=x")
    assert "not valid YAML" in refused(capsys, "run", job, "--set", "takes={min: 1")


def test_no_credential_is_shown(tmp_path, capsys):
    line = refused(capsys, "run", write_job(tmp_path, stills="ftp://user:hunter2@127.0.0.1:9/stills"))
    assert "hunter2" not in line


def test_a_store_that_lives_in_one_process_is_not_for_many(tmp_path, capsys):
    assert "--pool inline" in refused(capsys, "run", write_job(tmp_path, output="memory://here/run"))


def test_status_of_nothing(tmp_path, capsys):
    assert "no run here" in refused(capsys, "status", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
