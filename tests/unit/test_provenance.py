"""What a clip says of where it comes from, to players and to asset managers, whatever its prompt holds."""

import json
import os
import struct
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from clips import FPS, a_task, moving_picture, tags_of, text, xmp_of
from hypothesis import given
from hypothesis import strategies as st

from farm.trim.encode import encode_clip
from farm.trim.footage import decode
from farm.trim.provenance import ALGORITHMIC, SOURCE_TYPE, TRAINED, clean, provenance, xmp_box
from farm.values import Span


def test_provenance_says_where_a_clip_comes_from(tmp_path: Path) -> None:
    tags = provenance(a_task(), Span(12, 60), farm_version="0.1.0")
    assert tags == {
        "take_id": "0" * 31 + "1",
        "still_id": "still-1",
        "still_sha256": "f" * 64,
        "motion_id": "push-in",
        "prompt": "slow push-in",
        "model": "wan2.2-ti2v-5b",
        "model_revision": "abc123",
        "seed": "7",
        "span": "12:60",
        "farm_version": "0.1.0",
        "DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }
    encode_clip(moving_picture(2), FPS, tmp_path / "a.mp4", tags)
    assert tags_of(tmp_path / "a.mp4").items() >= tags.items()
    xmp = xmp_of(tmp_path / "a.mp4")
    assert {name: text(xmp, f"farm:{name}") for name in tags} == tags
    assert text(xmp, "ext:DigitalSourceType") == TRAINED
    assert text(xmp, "dc:description/rdf:Alt/rdf:li") == "slow push-in"
    assert text(xmp, "xmp:CreatorTool") == "Circletake farm 0.1.0"
    assert text(xmp, "ext:AISystemUsed") == "wan2.2-ti2v-5b"
    assert b"hunter2" not in (tmp_path / "a.mp4").read_bytes()


def test_previz_is_an_algorithm_that_learnt_nothing() -> None:
    tags = provenance(a_task("previz"), Span(0, 1), farm_version="1")
    assert tags[SOURCE_TYPE] == ALGORITHMIC
    assert b"AISystemUsed" not in xmp_box(tags)
    assert b"AISystemUsed" in xmp_box(provenance(a_task(), Span(0, 1), farm_version="1"))


HOSTILE = [
    "line\nbreak\r\n\ttab",
    "nul\0bell\a\x1b[31m",
    "😀 漢字 \u202e right-to-left \ufeff",
    "</rdf:li><evil/>&amp; ]]> <![CDATA[ <!-- <?xpacket end='w'?> \" '",
    "\ud800 lone \udfff",
    "word " * 1000,
    "",
    "\ufffe\uffff",
]


@pytest.mark.parametrize("prompt", HOSTILE)
def test_no_prompt_breaks_the_file(tmp_path: Path, prompt: str) -> None:
    frames = moving_picture(3)
    tags = provenance(a_task(prompt=prompt), Span(0, 3), farm_version="1")
    encode_clip(frames, FPS, tmp_path / "a.mp4", tags)
    assert len(decode(tmp_path / "a.mp4")[0]) == 3
    assert tags_of(tmp_path / "a.mp4").get("prompt", "") == clean(prompt)
    assert (text(xmp_of(tmp_path / "a.mp4"), "farm:prompt") or "") == clean(prompt)


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_kept_or_cleaned_in_xmp(prompt: str) -> None:
    box = xmp_box({"prompt": prompt})
    assert struct.unpack(">I", box[:4])[0] == len(box)
    packet = ElementTree.fromstring(box[24:].decode())
    assert (text(packet, "farm:prompt") or "") == clean(prompt)
    assert clean(clean(prompt)) == clean(prompt)
    assert len(clean(prompt)) == len(prompt)


def test_a_tag_s_name_must_be_a_name(tmp_path: Path) -> None:
    for name in ("", "a b", "1a", "a>b", "é"):
        with pytest.raises(ValueError, match="cannot name a tag"):
            encode_clip(moving_picture(1), FPS, tmp_path / "a.mp4", {name: "x"})
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.system("exiftool")
def test_exiftool_reads_it(tmp_path: Path) -> None:
    prompt = 'hair "sways" & <i>settles</i> ]]>\n😀'
    tags = provenance(a_task(prompt=prompt), Span(0, 3), farm_version="0.1.0")
    encode_clip(moving_picture(3), FPS, tmp_path / "a.mp4", tags)
    command = ["exiftool", "-json", "-G1", "-a", "-warning", "-validate", "-all", str(tmp_path / "a.mp4")]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"}
    )
    [seen] = json.loads(told.stdout)
    assert seen["XMP-iptcExt:DigitalSourceType"].endswith("trainedAlgorithmicMedia")
    assert seen["XMP-dc:Description"] == prompt
    assert seen["XMP-xmp:CreatorTool"] == "Circletake farm 0.1.0"
    assert not [name for name in seen if name.endswith((":Warning", ":Error"))], seen
