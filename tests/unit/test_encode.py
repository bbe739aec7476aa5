"""Clips, posters and filmstrips: exact frames, rate and colours, in deterministic bytes."""

import os
import tempfile
import wave
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from clips import FPS, a_task, boxes, moving_picture, tags_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from farm.errors import InputError, TakeError
from farm.trim.encode import encode_clip, filmstrip, poster
from farm.trim.footage import decode
from farm.trim.provenance import provenance
from farm.values import Blame, Frames, Span


def test_a_clip_gives_back_its_frames(tmp_path: Path) -> None:
    frames = moving_picture(30)
    encode_clip(frames, FPS, tmp_path / "a.mp4", {})
    decoded, fps = decode(tmp_path / "a.mp4")
    assert (decoded.shape, decoded.dtype, fps) == (frames.shape, np.uint8, FPS)
    error = (decoded.astype(float) - frames) ** 2
    assert 10 * np.log10(255**2 / error.mean(axis=(1, 2, 3))).min() > 36
    # Each decoded frame is nearest to its own original, not to a neighbour.
    distances = np.abs(decoded[:, None].astype(float) - frames[None]).mean(axis=(2, 3, 4))
    assert distances.argmin(axis=1).tolist() == list(range(30))


@given(
    st.integers(1, 200_000),
    st.integers(1, 2000),
    st.sampled_from([1, 2, 3, 7]),
    st.sampled_from([(2, 2), (16, 34), (96, 160)]),
)
@example(24000, 1001, 7, (16, 34))
@example(30000, 1001, 7, (16, 34))
@example(60000, 1001, 7, (16, 34))
@example(24, 1, 1, (16, 34))
@example(16, 1, 7, (16, 34))
@example(2997, 125, 7, (16, 34))
@example(1, 2000, 7, (16, 34))
@example(2000, 1, 3, (16, 34))
@settings(max_examples=40, deadline=None)
def test_any_rate_is_exact(numerator: int, denominator: int, count: int, size: tuple[int, int]) -> None:
    fps = Fraction(numerator, denominator)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.mp4")
        encode_clip(moving_picture(count, *size), fps, path, {})
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == fps
            assert stream.frames == count
            times = [frame.pts * frame.time_base for frame in container.decode(stream)]
            assert times == [i / fps for i in range(count)]
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            durations = {p.duration * p.time_base for p in container.demux(stream) if p.size}
            assert durations == {1 / fps}
        assert decode(path)[1] == fps


def test_the_file_is_what_browsers_play(tmp_path: Path) -> None:
    encode_clip(moving_picture(5), FPS, tmp_path / "a.mp4", {"take_id": "x"})
    kinds = [kind for kind, _ in boxes((tmp_path / "a.mp4").read_bytes())]
    assert kinds[0] == "ftyp"
    assert kinds.index("moov") < kinds.index("mdat") < kinds.index("uuid") == len(kinds) - 1
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        # ITU-T H.273: 1 is BT.709 for primaries, transfer and matrix; range 1 is limited.
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        assert tags == (1, 1, 1, 1)


@pytest.mark.parametrize("width", [160, 256, 480])
def test_the_same_frames_make_the_same_bytes(tmp_path: Path, width: int) -> None:
    """x264 left to itself does not, on a CPU with AVX-512 and these widths."""
    frames = moving_picture(12, 96, width)
    metadata = provenance(a_task(), Span(3, 15), farm_version="1")
    encode_clip(frames, FPS, tmp_path / "a.mp4", metadata)
    data = (tmp_path / "a.mp4").read_bytes()
    for name in ("other-name.mp4", "a.mp4", "c.mp4", "d.mp4"):
        encode_clip(np.flip(np.flip(frames, 2).copy(), 2), FPS, tmp_path / name, metadata)
        assert (tmp_path / name).read_bytes() == data
    assert "creation_time" not in tags_of(tmp_path / "a.mp4")
    assert poster(frames) == poster(frames.copy())
    assert filmstrip(frames) == filmstrip(frames.copy())
    encode_clip(frames[::-1], FPS, tmp_path / "b.mp4", metadata)
    assert data != (tmp_path / "b.mp4").read_bytes()


PATCHES = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 120, 40)]


def bt709(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """Y'CbCr, limited range. ITU-R BT.709-6, 3.2 to 3.5."""
    r, g, b = (one / 255 for one in rgb)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return 16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748


def test_colours_are_those_of_the_tag(tmp_path: Path) -> None:
    frames = np.empty((3, 64, 64 * len(PATCHES), 3), np.uint8)
    for i, patch in enumerate(PATCHES):
        frames[:, :, 64 * i : 64 * (i + 1)] = patch
    encode_clip(frames, FPS, tmp_path / "a.mp4", {})
    with av.open(str(tmp_path / "a.mp4")) as container:
        picture = next(container.decode(video=0))
    planes = [np.asarray(plane).reshape(plane.height, plane.line_size) for plane in picture.planes]
    for i, patch in enumerate(PATCHES):
        centre = 64 * i + 32
        found = (planes[0][32, centre], planes[1][16, centre // 2], planes[2][16, centre // 2])
        assert np.abs(np.subtract(found, bt709(patch), dtype=float)).max() <= 1.5, patch
    decoded, _ = decode(tmp_path / "a.mp4")
    shown = decoded[1, 32, 32::64].astype(int)
    assert np.abs(shown - PATCHES).max() <= 3


@pytest.mark.parametrize(("height", "matrix"), [(480, "BT.601"), (720, "BT.709")])
def test_untagged_video_is_read_by_convention(tmp_path: Path, height: int, matrix: str) -> None:
    # Pure red as each matrix has it: BT.601 (81, 90, 240), BT.709 (63, 102, 240).
    y, cb, cr = (81, 90, 240) if matrix == "BT.601" else (63, 102, 240)
    planes = np.concatenate([np.full(height * 64, y), np.full(height * 16, cb), np.full(height * 16, cr)])
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        picture = av.VideoFrame.from_ndarray(
            planes.astype(np.uint8).reshape(height * 3 // 2, 64), format="yuv420p"
        )
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    decoded, _ = decode(tmp_path / "a.mp4")
    assert np.abs(decoded[0, 32, 32].astype(int) - (255, 0, 0)).max() <= 4


def flat(values: list[int], height: int = 90, width: int = 160) -> Frames:
    return np.stack([np.full((height, width, 3), value, np.uint8) for value in values])


def webp(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        assert image.format == "WEBP"
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize(("values", "middle"), [([10], 10), ([10, 200], 200), ([10, 120, 250], 120)])
def test_the_poster_is_the_middle_frame(values: list[int], middle: int) -> None:
    shown = webp(poster(flat(values)))
    assert shown.shape == (90, 160, 3)
    assert np.abs(shown - middle).max() <= 3


@pytest.mark.parametrize("count", [1, 2, 5, 6, 11, 48])
def test_the_filmstrip_goes_from_the_first_frame_to_the_last(count: int) -> None:
    values = np.linspace(0, 250, count).astype(int).tolist()
    shown = webp(filmstrip(flat(values, 320, 640)))
    assert shown.shape == (160, 320 * 6, 3)
    cells = shown[80, 160::320, 0]
    assert len(cells) == 6
    expected = [values[round(i * (count - 1) / 5)] for i in range(6)]
    assert np.abs(cells - expected).max() <= 60 / max(1, count - 1) + 6
    assert (abs(cells[0] - values[0]), abs(cells[-1] - values[-1])) <= (4, 4)


def test_a_filmstrip_takes_any_count_and_any_shape() -> None:
    assert webp(filmstrip(flat([10, 200]), count=1)).shape == (160, 284, 3)
    assert webp(filmstrip(flat([10, 200], 2, 8000))).shape[1] <= 16383
    assert webp(filmstrip(flat([10, 200], 4000, 2))).shape == (160, 6, 3)
    with pytest.raises(ValueError, match="count=0"):
        filmstrip(flat([10]), count=0)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.zeros((0, 16, 16, 3), np.uint8), "no frames"),
        (np.zeros((2, 15, 16, 3), np.uint8), "16x15 px: yuv420p needs even sides"),
        (np.zeros((2, 16, 17, 3), np.uint8), "17x16 px: yuv420p needs even sides"),
        (np.zeros((2, 0, 16, 3), np.uint8), "even sides"),
        (np.zeros((2, 16, 16, 4), np.uint8), r"expected \(T, H, W, 3\) uint8"),
        (np.zeros((16, 16, 3), np.uint8), r"expected \(T, H, W, 3\) uint8"),
        (np.zeros((2, 16, 16, 3), np.float32), "float32"),
    ],
)
def test_frames_that_make_no_clip(tmp_path: Path, frames: Frames, said: str) -> None:
    for make in (poster, filmstrip, lambda f: encode_clip(f, FPS, tmp_path / "a.mp4", {})):
        with pytest.raises(ValueError, match=said):
            make(frames)
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(-24), Fraction(1_000_001), Fraction(1, 1_000_001)])
def test_rates_that_no_file_holds(tmp_path: Path, fps: Fraction) -> None:
    with pytest.raises(ValueError, match="expected a positive rate"):
        encode_clip(moving_picture(2), fps, tmp_path / "a.mp4", {})


def test_a_clip_that_cannot_be_written_is_the_node_s_fault(tmp_path: Path) -> None:
    with pytest.raises(TakeError, match=r"a\.mp4: cannot be encoded: No such file") as caught:
        encode_clip(moving_picture(2), FPS, tmp_path / "no" / "a.mp4", {})
    assert (caught.value.kind, caught.value.blame) == ("encode_failed", Blame.NODE)


def test_what_is_no_clip_is_told_in_one_line(tmp_path: Path) -> None:
    whole, broken = tmp_path / "a.mp4", tmp_path / "broken.mp4"
    encode_clip(moving_picture(24), FPS, whole, {})
    data = whole.read_bytes()
    media_ends = data.rindex(b"uuid") - 4
    cuts = [0, 10, len(data) // 4, len(data) // 2, media_ends - 1]
    for content in [data[:cut] for cut in cuts] + [b"plain text", os.urandom(4096)]:
        broken.write_bytes(content)
        with pytest.raises(InputError, match=r"broken\.mp4: (cannot be decoded|has no)") as caught:
            decode(broken)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"none\.mp4: cannot be decoded: No such file"):
        decode(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="cannot be decoded: Is a directory"):
        decode(tmp_path)
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(InputError, match=r"a\.wav: has no video stream"):
        decode(tmp_path / "a.wav")
