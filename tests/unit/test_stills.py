"""The still gate: what is rendered right, what is refused and why, and that nothing else ever happens."""

import hashlib
import http.server
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from uuid import uuid4

import fsspec
import numpy as np
import pytest
from hostile import (
    BOMBS,
    cmyk_profile,
    encoded,
    grey_profile,
    matrix_profile,
    mutated,
    photo,
    png16,
    png_bomb,
    tiff,
    turned,
)
from PIL import Image

from farm.catalog.stills import MAX_STILL_BYTES, decode, fetch, probe
from farm.errors import InputError, StillError, StoreError
from farm.values import Gate, Still

PHOTO = photo()
DEEP = PHOTO.astype(np.uint16) * 257
LOSSLESS = ["PNG", "TIFF", "BMP"]


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def kind_of(data: bytes) -> str:
    with pytest.raises(StillError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    return caught.value.kind


def off_by(seen: np.ndarray, expected: np.ndarray) -> int:
    assert seen.dtype == np.uint8
    assert seen.shape == expected.shape
    return int(np.abs(seen.astype(int) - expected.astype(int)).max())


def first_of_two(format: str) -> bytes:
    second = Image.fromarray(PHOTO[::-1].copy())
    options = {"lossless": True} if format == "WEBP" else {}
    return saved(Image.fromarray(PHOTO), format, save_all=True, append_images=[second], **options)


def palette(**options: object) -> bytes:
    return saved(Image.fromarray(PHOTO).quantize(16), "PNG", **options)


REAL = {
    "jpeg": encoded(PHOTO, "JPEG"),
    "jpeg progressive": encoded(PHOTO, "JPEG", progressive=True),
    "jpeg cmyk": saved(Image.fromarray(PHOTO).convert("CMYK"), "JPEG"),
    "jpeg exif and profile": turned(PHOTO, 6, "JPEG", icc_profile=matrix_profile()),
    "png": encoded(PHOTO, "PNG"),
    "png palette": palette(transparency=3),
    "png 16": png16(DEEP),
    "png two frames": first_of_two("PNG"),
    "webp": encoded(PHOTO, "WEBP"),
    "webp two frames": first_of_two("WEBP"),
    "gif two frames": first_of_two("GIF"),
    "bmp": encoded(PHOTO, "BMP"),
    "tiff": encoded(PHOTO, "TIFF"),
    "tiff 16": tiff(DEEP[..., 0], photometric="minisblack"),
    "tiff lzw": encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encoded(PHOTO, "TIFF", compression="tiff_adobe_deflate"),
    "tiff jpeg": encoded(PHOTO, "TIFF", compression="jpeg"),
    "avif": encoded(PHOTO, "AVIF"),
}


# --- rendered right -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", LOSSLESS)
def test_plain_pixels_are_exact(format):
    assert off_by(decode(encoded(PHOTO, format)), PHOTO) == 0


def test_pixels_are_the_callers_own():
    pixels = decode(encoded(PHOTO, "PNG"))
    assert pixels.flags.c_contiguous
    pixels[:] = 0  # not a view of what Pillow holds


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_stills_are_seen_upright(format, orientation):
    options = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100},
    }
    seen = decode(turned(PHOTO, orientation, format, **options.get(format, {})))
    assert off_by(seen, PHOTO) <= (0 if format in {"PNG", "TIFF", "WEBP"} else 24)


def test_tiff_with_compression_is_turned_once():
    assert off_by(decode(turned(PHOTO, 5, "TIFF", compression="tiff_lzw")), PHOTO) == 0


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_an_orientation_that_is_none_is_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert off_by(decode(encoded(PHOTO, "PNG", exif=exif)), PHOTO) == 0


def test_broken_exif_is_no_reason_to_refuse():
    for exif in (b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0II*\0\x08\0\0\0\x05", b"junk"):
        assert off_by(decode(encoded(PHOTO, "PNG", exif=exif)), PHOTO) == 0


def test_16_bits_are_scaled_not_clipped():
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (32, 1))
    expected = np.round(np.tile(np.arange(256), (32, 1))).astype(np.uint8)[..., None].repeat(3, axis=-1)
    deep = ramp[..., None].repeat(3, axis=-1)
    opaque = np.dstack([deep, np.full_like(ramp, 65535)])
    for data in (
        png16(ramp),
        png16(deep),
        png16(opaque),
        tiff(ramp, photometric="minisblack"),
        tiff(ramp, photometric="minisblack", byteorder=">"),
        tiff(ramp, photometric="minisblack", compression="zlib"),
        tiff(deep, photometric="rgb"),
        tiff(deep, photometric="rgb", byteorder=">", compression="zlib"),
    ):
        assert off_by(decode(data), expected) <= 1
    assert off_by(decode(tiff(ramp, photometric="miniswhite")), 255 - expected) <= 1


def test_the_white_of_12_bits_is_white():
    levels = np.tile(np.linspace(0, 4095, 256).astype(np.uint16), (32, 1))
    pairs = levels.reshape(32, -1, 2).astype(np.uint32)
    packed = np.stack(
        [pairs[..., 0] >> 4, (pairs[..., 0] & 15) << 4 | pairs[..., 1] >> 8, pairs[..., 1] & 255], axis=-1
    )
    strip = packed.astype(np.uint8).tobytes()
    entries = [
        (256, 3, 256),
        (257, 3, 32),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 110),
        (278, 3, 32),
    ]
    entries.append((279, 4, len(strip)))
    directory = b"".join(
        tag.to_bytes(2, "little")
        + kind.to_bytes(2, "little")
        + (1).to_bytes(4, "little")
        + value.to_bytes(4, "little")
        for tag, kind, value in entries
    )
    data = b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little") + directory + bytes(4)
    seen = decode(data.ljust(110, b"\0") + strip)
    assert off_by(seen, np.tile(np.arange(256, dtype=np.uint8), (32, 1))[..., None].repeat(3, axis=-1)) <= 1


def test_grey_and_one_bit():
    grey = PHOTO[..., 0]
    for format in LOSSLESS:
        assert off_by(decode(encoded(grey, format)), grey[..., None].repeat(3, axis=-1)) == 0
    bits = grey > 128
    for format in ("PNG", "TIFF", "BMP", "GIF"):
        data = saved(Image.fromarray(bits), format)
        assert off_by(decode(data), (bits * np.uint8(255))[..., None].repeat(3, axis=-1)) == 0


def test_transparency_is_white():
    alpha = np.linspace(0, 255, 96).astype(np.uint8)[None].repeat(64, axis=0)
    share = alpha[..., None] / 255
    over_white = np.round(PHOTO * share + 255 * (1 - share)).astype(np.uint8)
    rgba = np.dstack([PHOTO, alpha])
    for data in (
        encoded(rgba, "PNG"),
        encoded(rgba, "WEBP", lossless=True, exact=True),
        encoded(rgba, "TIFF"),
        png16(np.dstack([DEEP, alpha.astype(np.uint16) * 257])),
    ):
        assert off_by(decode(data), over_white) <= 1
    grey = np.dstack([PHOTO[..., 0], alpha])
    assert off_by(decode(encoded(grey, "PNG")), over_white[..., :1].repeat(3, axis=-1)) <= 1


def test_colours_that_stand_for_transparent_are_white():
    flat = PHOTO // 128 * 255
    key = tuple(int(level) for level in flat[0, 0])
    expected = np.where((flat == key).all(axis=-1, keepdims=True), 255, flat).astype(np.uint8)
    assert off_by(decode(encoded(flat, "PNG", transparency=key)), expected) == 0


@pytest.mark.parametrize("transparency", [3, bytes([255, 255, 255, 0]), bytes([0, 128])])
def test_palettes_with_transparency(transparency):
    image = Image.fromarray(PHOTO).quantize(16)
    colours = np.array(image.getpalette()[: 16 * 3]).reshape(16, 3)
    alpha = np.full(16, 255)
    if isinstance(transparency, int):
        alpha[transparency] = 0
    else:
        alpha[: len(transparency)] = list(transparency)
    share = alpha[:, None] / 255
    over_white = np.round(colours * share + 255 * (1 - share)).astype(np.uint8)
    assert off_by(decode(palette(transparency=transparency)), over_white[np.array(image)]) <= 1


def test_gif_palettes():
    image = Image.fromarray(PHOTO).quantize(64)
    assert off_by(decode(saved(image, "GIF")), np.array(image.convert("RGB"))) == 0


def test_cmyk_without_a_profile():
    primaries = np.zeros((32, 96, 3), np.uint8)
    primaries[:, :32, 0] = primaries[:, 32:64, 1] = primaries[:, 64:, 2] = 255
    cmyk = Image.fromarray(primaries).convert("CMYK")
    for data in (saved(cmyk, "JPEG", quality=100, subsampling=0), saved(cmyk, "TIFF")):
        assert off_by(decode(data)[:, 4:28], primaries[:, 4:28]) <= 4


def test_cmyk_profiles_are_obeyed():
    # Paper is white; ink, however much of which, is a middle grey: L* 50 is sRGB 119.
    profile = cmyk_profile(paper=(255, 128, 128), ink=(128, 128, 128))
    inked = np.zeros((32, 64, 4), np.uint8)
    inked[:, 32:, 1] = 255
    image = Image.frombytes("CMYK", (64, 32), inked.tobytes())
    # Black point compensation maps this profile's darkest colour, its ink, to black.
    for data in (
        saved(image, "TIFF", icc_profile=profile),
        saved(image, "JPEG", quality=100, icc_profile=profile),
    ):
        seen = decode(data)
        assert seen[:, :24].min() >= 250
        assert np.ptp(seen[:, 40:].reshape(-1, 3).astype(int), axis=1).max() <= 3
    plain = decode(saved(image, "TIFF"))
    assert tuple(plain[0, 63]) == (255, 0, 255)


def test_wide_colours_become_srgb():
    # Display P3 (220, 60, 40), by the matrices of both spaces and this profile's gamma of 2.2, in numpy alone.
    p3_to_xyz = np.array(
        ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
    )
    xyz_to_srgb = np.array(
        ((3.13386, -1.61687, -0.49061), (-0.97877, 1.91614, 0.03345), (0.07195, -0.22899, 1.40524))
    )
    linear = xyz_to_srgb @ p3_to_xyz @ (np.array((180, 120, 90)) / 255) ** 2.2
    expected = np.round(
        255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    )
    flat = np.full((32, 32, 3), (180, 120, 90), np.uint8)
    for format in LOSSLESS[:2]:
        seen = decode(encoded(flat, format, icc_profile=matrix_profile()))
        assert off_by(seen, np.broadcast_to(expected, seen.shape)) <= 2
    assert off_by(seen, flat) > 5
    translucent = np.dstack([flat, np.full((32, 32), 255, np.uint8)])
    assert off_by(decode(encoded(translucent, "PNG", icc_profile=matrix_profile())), seen) == 0


def test_grey_profiles_are_obeyed():
    flat = np.full((32, 32), 128, np.uint8)
    expected = round(255 * (1.055 * (128 / 255) ** (1 / 2.4) - 0.055))
    seen = decode(encoded(flat, "PNG", icc_profile=grey_profile(gamma=1.0)))
    assert off_by(seen, np.full((32, 32, 3), expected)) <= 2


def test_profiles_that_do_not_fit_are_ignored():
    for profile in (
        b"junk",
        grey_profile(1.0),
        cmyk_profile((255, 128, 128), (0, 128, 128)),
        matrix_profile()[:200],
    ):
        assert off_by(decode(encoded(PHOTO, "PNG", icc_profile=profile)), PHOTO) == 0


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_of_many_frames_is_the_still(format):
    seen = decode(first_of_two(format)).astype(int)
    assert np.abs(seen - PHOTO).mean() <= (8 if format == "GIF" else 0)


# --- refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_headers(name):
    data = BOMBS[name]()
    assert len(data) < 50_000
    assert kind_of(data) == "still_bomb"


def test_the_limit_is_100_megapixels():
    assert kind_of(png_bomb(10_000, 10_000)) == "still_truncated"  # tried, its pixels are not there
    assert kind_of(png_bomb(10_001, 10_000)) == "still_bomb"


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", "still_empty", "the file is empty"),
        (b"\0", "still_unreadable", "not an image; allowed: JPEG, PNG, WEBP, TIFF, GIF, BMP, AVIF"),
        (b"hello, world" * 9, "still_unreadable", "not an image; allowed: "),
        (encoded(PHOTO[:15], "PNG"), "still_too_small", "96x15 pixels; allowed: at least 16 a side"),
        (encoded(PHOTO[:, :1], "JPEG"), "still_too_small", "1x64 pixels; allowed: at least 16 a side"),
        (tiff(PHOTO[..., 0].astype(np.float32)), "still_format", "pixels are floats"),
        (tiff(PHOTO[..., 0].astype(np.int32)), "still_format", "pixels are 32-bit integers"),
        (tiff(PHOTO[..., 0].astype(np.float64)), "still_format", "TIFF of a kind that is not read"),
        (saved(Image.fromarray(PHOTO), "EPS"), "still_format", "is PostScript; allowed: "),
        (saved(Image.fromarray(PHOTO), "PDF"), "still_format", "is a PDF; "),
        (saved(Image.fromarray(PHOTO), "PPM"), "still_format", "is a portable anymap; "),
        (saved(Image.fromarray(PHOTO), "JPEG2000"), "still_format", "is JPEG 2000; "),
        (saved(Image.fromarray(PHOTO), "ICO"), "still_format", "is an icon; "),
        (b"8BPS\0\1" + bytes(99), "still_format", "is a Photoshop file; "),
        (b"<?xml version='1.0'?><svg/>", "still_format", "is SVG or other XML; "),
        (b"\n<!DOCTYPE HTML>\n<p>Please log in", "still_format", "is an HTML page; "),
        (b"\0\0\0\x18ftypheic" + bytes(99), "still_format", "is HEIC; "),
        (b"\0\0\0\x18ftypisom" + bytes(99), "still_format", "is a video; "),
        (b"RIFF\x24\0\0\0WAVEfmt " + bytes(99), "still_unreadable", "not an image; "),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(data, kind, words):
    with pytest.raises(StillError) as caught:
        decode(data)
    assert caught.value.kind == kind
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("name", REAL)
def test_cut_files_are_refused_unless_all_pixels_are_there(name):
    data = REAL[name]
    whole = decode(data)
    cuts = {*range(24), *range(24, len(data), max(1, len(data) // 120)), *range(len(data) - 12, len(data))}
    kinds = set()
    for cut in sorted(cuts):
        try:
            assert np.array_equal(decode(data[:cut]), whole), f"cut at {cut} of {len(data)}: other pixels"
        except StillError as e:
            kinds.add(e.kind)
            if cut > len(data) // 2 and name != "tiff jpeg":  # whose tables may end too early unseen
                assert e.kind == "still_truncated", f"cut at {cut} of {len(data)}: {e}"
    assert kinds <= {"still_empty", "still_unreadable", "still_truncated"}


@pytest.mark.parametrize("name", REAL)
def test_damaged_files_give_pixels_or_a_reason(name, capfd):
    for seed in range(60):
        try:
            pixels = decode(mutated(REAL[name], seed))
        except StillError as e:
            assert e.kind.startswith("still_")
            assert "\n" not in str(e)
            assert " at 0x" not in str(e)  # an address would make the reason differ from run to run
        else:
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
    assert capfd.readouterr() == ("", "")


def test_reasons_survive_pickling():
    with pytest.raises(StillError) as caught:
        decode(REAL["png"][:99])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.kind) == (str(caught.value), "still_truncated")


# --- fetching -------------------------------------------------------------------------------------------


def test_fetch_reads_every_kind_of_place(tmp_path, moto, use_s3):
    for place in (str(tmp_path), f"file://{tmp_path}", f"memory://{uuid4().hex}", use_s3(moto)):
        for name, data in (("a.jpg", REAL["jpeg"]), ("empty.jpg", b""), ("odd #1 é+%.jpg", b"x")):
            with fsspec.open(f"{place}/{name}", "wb") as file:
                file.write(data)
            assert fetch(f"{place}/{name}") == data
        for name in ("none.jpg", "none/none.jpg"):
            with pytest.raises(StillError, match=name) as caught:
                fetch(f"{place}/{name}")
            assert caught.value.kind == "still_missing"


def test_what_is_no_file_is_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # opening one would wait for ever
    (tmp_path / "link.jpg").symlink_to("nowhere")
    (tmp_path / "file").write_bytes(b"x")
    for name in ("pipe.jpg", "link.jpg", ".", "file/a.jpg", "nul\0.jpg"):
        with pytest.raises(StillError) as caught:
            fetch(f"{tmp_path}/{name}")
        assert caught.value.kind in {"still_missing", "still_unfetchable"}


def test_files_over_the_limit_are_not_read(tmp_path):
    with (tmp_path / "large.tif").open("wb") as file:
        file.truncate(MAX_STILL_BYTES + 1)
    with pytest.raises(StillError, match="larger than 256 MiB") as caught:
        fetch(str(tmp_path / "large.tif"))
    assert caught.value.kind == "still_too_large"


@pytest.mark.parametrize(
    "uri", ["foo://a/b.jpg", "zip://a.jpg::s3://b/c.zip", "http:///a.jpg", "http://h:port/a.jpg"]
)
def test_urls_that_are_none(uri):
    with pytest.raises(StillError) as caught:
        fetch(uri)
    assert caught.value.kind == "still_unfetchable"


class Answers(http.server.BaseHTTPRequestHandler):
    """/404 answers 404, and so on; /liar says in its HEAD that it has nothing."""

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        name = self.path.strip("/").partition("?")[0]
        body = REAL["jpeg"] if name in {"ok", "liar"} else b""
        self.send_response(int(name) if name.isdecimal() else 200)
        self.send_header(
            "Content-Length", "0" if name == "liar" and self.command == "HEAD" else str(len(body))
        )
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def web() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_stills_on_a_web_server(web):
    assert fetch(f"{web}/ok?sig=hunter2") == REAL["jpeg"]
    assert fetch(f"{web}/liar") == REAL["jpeg"]
    for status, kind in (
        (404, "still_missing"),
        (410, "still_missing"),
        (403, "still_denied"),
        (418, "still_unfetchable"),
    ):
        with pytest.raises(StillError) as caught:
            fetch(f"{web}/{status}?sig=hunter2")
        assert caught.value.kind == kind
        assert str(caught.value).startswith(f"{web}/{status}: ")
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_trouble_that_passes_says_nothing_of_the_still(web, status):
    with pytest.raises(StoreError, match=f"the server answered with status {status}"):
        probe(Still("a", f"{web}/{status}", "row 1"))


def test_a_server_that_is_away_says_nothing_of_the_still():
    with pytest.raises(
        StoreError, match=r"http://127.0.0.1:9/a.jpg: cannot be reached \(ClientConnectorError\)"
    ):
        fetch("http://bob:hunter2@127.0.0.1:9/a.jpg?sig=hunter2")
    with pytest.raises(StoreError, match="cannot be reached"):
        fetch("http://no-such-host.invalid/a.jpg")


def test_credentials_that_fail_say_nothing_of_the_still(moto, use_s3, monkeypatch):
    import s3fs

    bucket = use_s3(moto)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"no usable credentials \(NoCredentialsError\)"):
        fetch(f"{bucket}/a.jpg")
    s3fs.S3FileSystem.clear_instance_cache()


# --- reports --------------------------------------------------------------------------------------------


def test_a_good_still_is_reported(tmp_path):
    data = turned(PHOTO, 6, "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    still = Still("a", str(path), "stills.csv:2")
    report = probe(still)
    assert report.still is still
    assert report.verdict is Gate.OK
    assert (report.width_px, report.height_px, report.still_bytes) == (96, 64, len(data))
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert report.reason is report.kind is None
    assert report.version is not None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "still_empty"),
        (REAL["jpeg"][:-9], "still_truncated"),
        (b"no", "still_unreadable"),
        (None, "still_missing"),
    ],
)
def test_a_bad_still_is_reported_not_raised(tmp_path, data, kind):
    path = tmp_path / "a.jpg"
    if data is not None:
        path.write_bytes(data)
    report = probe(Still("a", str(path), "stills.csv:2"))
    assert (report.verdict, report.kind) == (Gate.REFUSE, kind)
    assert report.reason
    assert report.width_px is report.height_px is None
    assert report.sha256 == (None if data is None else hashlib.sha256(data).hexdigest())
    assert report.still_bytes == (None if data is None else len(data))


def test_versions_change_with_the_still(tmp_path, moto, use_s3):
    for place in (str(tmp_path), use_s3(moto)):
        still = Still("a", f"{place}/a.png", "row")
        versions = []
        for pixels in (PHOTO, PHOTO, PHOTO[::-1].copy()):
            if len(versions) != 1:
                with fsspec.open(still.uri, "wb") as file:
                    file.write(encoded(pixels, "PNG"))
            versions.append(probe(still).version)
        assert versions[0] == versions[1] != versions[2]


def test_probe_takes_another_fetch():
    assert probe(Still("a", "nowhere", "row"), fetch=lambda uri: REAL["png"]).verdict is Gate.OK

    def away(uri: str) -> bytes:
        raise InputError("no package")

    with pytest.raises(InputError):
        probe(Still("a", "nowhere", "row"), fetch=away)


def test_many_threads_see_the_same(tmp_path):
    for name, data in REAL.items():
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"{name} cut").write_bytes(data[: len(data) // 2])
    stills = [Still(path.name, str(path), path.name) for path in sorted(tmp_path.iterdir())] * 4
    alone = [probe(still) for still in stills]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(probe, stills)) == alone
    assert {report.verdict for report in alone if report.still.id in REAL} == {Gate.OK}
