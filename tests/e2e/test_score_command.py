"""`farm score`: clips of any origin, judged, ranked and cut; and everything that is no such clip."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from farm.catalog.stills import decode as decode_still
from farm.cli import BAD_INPUT, DONE, call
from farm.render.families import backend
from farm.render.fit import fit
from farm.trim.encode import encode_clip
from farm.trim.footage import decode
from farm.values import Frames, Model, Motion, Still, Task

STILL = Path(__file__).parents[2] / "jobs" / "stills" / "cat.png"
FPS = Fraction(24)
SIZE = (320, 214)


@pytest.fixture(scope="module")
def take() -> Frames:
    """A clean push-in of three seconds."""
    model = Model("previz", "previz", "previz-1", 72, FPS, "320x214")
    resident = backend(model)
    resident.load()
    task = Task("ab" * 16, Still("s", "s", "s"), "ab" * 32, Motion("m", "p", "push-in", ()), "p", model, 0)
    return resident.render(fit(decode_still(STILL.read_bytes()), *SIZE), task, lambda done, total: None)


@pytest.fixture(scope="module")
def clips(tmp_path_factory, take) -> Path:
    """Three clips: clean, frozen, and clean with a cut to something else after two seconds and a bit."""
    folder = tmp_path_factory.mktemp("clips")
    encode_clip(take, FPS, folder / "clean.mp4", {})
    encode_clip(np.repeat(take[:1], 72, axis=0), FPS, folder / "frozen.mp4", {})
    cut = take.copy()
    cut[56:] = cut[56:, ::-1, :, ::-1]
    encode_clip(cut, FPS, folder / "cut.mp4", {})
    return folder


def scored(capsys, *arguments: str | Path) -> list[dict]:
    assert call(["score", *map(str, arguments), "--json"]) == DONE
    return json.loads(capsys.readouterr().out)["clips"]


def refused(capsys, *arguments: str | Path) -> str:
    assert call(["score", *map(str, arguments)]) == BAD_INPUT
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("farm: ") and told.err.count("\n") == 1
    return told.err


def test_the_json_is_the_contract_in_rank_order(clips, capsys):
    given = [str(clips / name) for name in ("frozen.mp4", "clean.mp4")]
    told = scored(capsys, *given, "--still", STILL)
    assert [one["clip"] for one in told] == [given[1], given[0]], "as given, best first"
    for one in told:
        assert set(one) == {"clip", "score", "accepted", "reasons", "span", "dimensions"}
        span = one["span"]
        assert 0 <= span["start"] < span["stop"] <= 72 and span["stop"] - span["start"] == 48
        assert span["start_s"] == pytest.approx(span["start"] / 24)
        assert span["stop_s"] == pytest.approx(span["stop"] / 24)
        assert all(0 <= value <= 1 for value in (one["score"], *one["dimensions"].values()))
        assert one["accepted"] == (not one["reasons"])
    assert told[0]["accepted"] and not told[1]["accepted"]
    assert any("frozen" in reason for reason in told[1]["reasons"])


def test_the_best_window_never_crosses_a_cut_and_is_what_is_written(clips, capsys, tmp_path):
    (one,) = scored(capsys, clips / "cut.mp4", "--cut", tmp_path / "best")
    assert one["span"]["stop"] <= 56
    (path,) = (tmp_path / "best").iterdir()
    frames, fps = decode(path)
    assert len(frames) == 48 and fps == FPS
    whole, _ = decode(clips / "cut.mp4")
    error = np.abs(frames.astype(int) - whole[one["span"]["start"] : one["span"]["stop"]]).mean()
    assert error < 4, "the very frames, encoded once more"


def test_a_folder_of_frames_is_a_clip(take, tmp_path, capsys):
    for number, frame in enumerate(take[:60]):
        Image.fromarray(frame).save(tmp_path / f"frame{number}.png")
    (one,) = scored(capsys, tmp_path, "--fps", "12", "--seconds", "1.5")
    assert one["span"]["stop"] - one["span"]["start"] == 18 and one["accepted"]


def test_a_webm_and_a_mov_are_clips(take, tmp_path, capsys):
    for name, codec in (("a.webm", "libvpx-vp9"), ("a.mov", "mpeg4")):
        write(tmp_path / name, take[:40], codec)
    told = scored(capsys, tmp_path / "a.webm", tmp_path / "a.mov")
    assert {Path(one["clip"]).name for one in told} == {"a.webm", "a.mov"}


def test_what_is_no_clip_is_one_line(clips, take, tmp_path, capsys):
    data = (clips / "clean.mp4").read_bytes()
    (tmp_path / "broken.mp4").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.mp4").write_text("not a clip")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "one.mp4", take[:1], "libx264")
    write(tmp_path / "tiny.mp4", take[:24, :8, :8], "mpeg4")
    write(tmp_path / "long.mp4", np.repeat(take[:1, :32, :32], 600, axis=0), "libx264", rate=1)
    write(tmp_path / "uneven.mp4", take[:24], "libx264", times=[n * n for n in range(24)])
    for name, words in {
        "broken.mp4": "cannot be decoded",
        "text.mp4": "cannot be decoded",
        "missing.mp4": "No such file",
        "empty": "has no frames",
        "one.mp4": "frame",
        "tiny.mp4": "8",
        "long.mp4": "600 s long",
        "uneven.mp4": "constant frame rate",
    }.items():
        told = refused(capsys, tmp_path / name)
        assert name in told and words in told, told
    told = refused(capsys, clips / "clean.mp4", "--still", STILL.parent / "astronaut.png")
    assert "another aspect" in told
    assert "text.mp4" in refused(capsys, clips / "clean.mp4", "--still", tmp_path / "text.mp4")
    (tmp_path / "file").write_text("")
    assert "--cut" in refused(capsys, clips / "clean.mp4", "--cut", tmp_path / "file" / "dir")


def write(path: Path, frames: Frames, codec: str, *, rate: int = 24, times: list[int] | None = None) -> None:
    """A clip of any codec, at times of one's own."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            picture.pts = times[number] if times else number
            picture.time_base = Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
