"""Catalogs: the same stills from every kind of place, and one clear line for everything that can be wrong."""

import csv
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from io import StringIO
from pathlib import Path
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from system import S3Server

from farm.catalog import table
from farm.catalog.sources import open_catalog
from farm.errors import InputError
from farm.values import Still

# Sorted as an object store sorts keys: "-" and "." come before "/", "ß" after all ASCII.
TREE = ["a-b/9.webp", "a.jpg", "a/0.PNG", "a/b/c.tiff", "a/d.jpeg", "b.gif", "ß.avif"]
IDS = ["a-b/9", "a", "a/0", "a/b/c", "a/d", "b", "ß"]
PASSED_OVER = ["notes.txt", ".hidden.jpg", ".thumbs/a.jpg", "a/.x/y.jpg", "jpg", "a/data.json"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["local", "memory", "moto"])
def place(request: pytest.FixtureRequest, use_s3: Callable[[S3Server], str]) -> str:
    if request.param == "local":
        return "catalog"
    if request.param == "memory":
        return f"memory://{uuid4().hex}/catalog"
    return f"{use_s3(request.getfixturevalue('moto'))}/catalog"


def put(name: str, data: bytes | str = b"x") -> str:
    with fsspec.open(name, "wb", auto_mkdir=True) as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return name


def put_tree(place: str) -> None:
    for name in [*reversed(TREE), *PASSED_OVER]:
        put(f"{place}/{name}")


def refusal(spec: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        list(open_catalog(spec, **options).stills())
    text = str(caught.value)
    assert "\n" not in text
    return text


def rows_to(suffix: str, rows: list[dict[str, object]], name: str = "stills") -> str:
    path = f"{name}{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".jsonl":
        put(path, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        out = StringIO()
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        put(path, out.getvalue())
    return path


# --- folders and globs ----------------------------------------------------------------------------------


def test_folder(place):
    put_tree(place)
    catalog = open_catalog(place)
    assert catalog.count() == 7
    stills = list(catalog.stills())
    assert [still.id for still in stills] == IDS
    assert [still.where for still in stills] == [f"{place}/{name}" for name in TREE]
    assert [still.id for still in open_catalog(place + "/").stills()] == IDS
    root = str(Path.cwd() / place) if "://" not in place else place
    assert [still.uri for still in stills] == [f"{root}/{name}" for name in TREE]
    assert catalog.extra_columns.names == []
    for still in stills:
        with fsspec.open(still.uri) as file:
            assert file.read() == b"x"


@pytest.mark.parametrize(
    ("pattern", "ids"),
    [
        ("*.jpg", ["a"]),
        ("*", ["a", "b", "ß"]),
        ("**", IDS),
        ("**/*.jp*g", ["a", "a/d"]),
        ("a/*", ["0", "d"]),
        ("a/**", ["0", "b/c", "d"]),
        ("*/*", ["a-b/9", "a/0", "a/d"]),
        ("a*/?.*", ["a-b/9", "a/0", "a/d"]),
        ("a/[a-c]/*", ["b/c"]),
        ("a/**/c.*", ["b/c"]),
        ("[!a]*", ["b", "ß"]),
    ],
)
def test_glob(place, pattern, ids):
    put_tree(place)
    catalog = open_catalog(f"{place}/{pattern}")
    assert catalog.count() == len(ids)
    assert [still.id for still in catalog.stills()] == ids


def test_buckets_mark_folders_with_empty_objects(moto, use_s3):
    bucket = use_s3(moto)
    with moto.client() as client:
        for key in ("in/", "in/a/", "in/a/1.jpg", "in//lost.jpg"):
            client.put_object(Bucket=bucket.removeprefix("s3://"), Key=key, Body=b"")
    assert [still.id for still in open_catalog(f"{bucket}/in").stills()] == ["a/1"]
    assert [still.id for still in open_catalog(bucket).stills()] == ["in/a/1"]


def test_a_folder_is_listed_anew(place):
    put(f"{place}/a.jpg")
    assert open_catalog(place).count() == 1
    put(f"{place}/b.jpg")
    assert open_catalog(place).count() == 2


def test_links_are_followed_but_not_in_circles():
    put("real/sub/a.jpg")
    put("stills/b.jpg")
    Path("stills/link").symlink_to("../real")
    Path("real/sub/back").symlink_to("../../stills")
    Path("stills/broken.jpg").symlink_to("nowhere.jpg")
    assert [still.id for still in open_catalog("stills").stills()] == ["b", "broken", "link/sub/a"]


def test_odd_names_are_one_line():
    put("in/a\nb.jpg")
    expected = "in/a\\u000ab.jpg: the id 'a\\u000ab' holds the character U+000A; "
    assert refusal("in") == expected + "allowed: any text without control characters"
    Path("in/a\nb.jpg").rename("in/\udcff.jpg")
    assert "in/\\udcff.jpg: the id '\\udcff' holds the character U+DCFF" in refusal("in")


def test_wildcards_in_the_names_of_folders_that_exist():
    put("takes [2026]/a.jpg")
    put("takes [2026]/deep/b.jpg")
    assert [still.id for still in open_catalog("takes [2026]").stills()] == ["a", "deep/b"]


def test_relative_places_are_looked_for_here_and_then_beside_the_job(tmp_path):
    job = tmp_path / "jobs"
    put("jobs/in/a.jpg")
    put("jobs/b.csv", "image\nin/a.jpg\n")
    assert [still.where for still in open_catalog("in", base=job).stills()] == [f"{job}/in/a.jpg"]
    (still,) = open_catalog("b.csv", base=job).stills()
    assert (still.id, still.uri, still.where) == ("in/a", f"{job}/in/a.jpg", f"{job}/b.csv:2")
    assert open_catalog("in/*.jpg", base=Path("jobs")).count() == 1
    put("in/here.jpg")
    assert [still.id for still in open_catalog("in", base=job).stills()] == ["here"]
    assert [still.id for still in open_catalog("in/*", base=job).stills()] == ["here"]
    assert open_catalog(f"file://{job}/in").count() == 1
    assert refusal("out", base=Path("jobs")).startswith(
        "stills: no such file or folder: out and jobs/out; allowed: a folder"
    )


ALLOWED = "allowed: a folder, a glob such as stills/*.jpg, or a file that ends in .csv, .jsonl, .parquet"
LOOKED_FOR = "looked for names that end in .avif .bmp .gif .jfif .jpe .jpeg .jpg .png .tif .tiff .webp"
NO_FOO = "no way to read foo://; allowed: local paths, s3://, https:// and what else fsspec knows"
NO_ROWS = "no rows; expected one for every still"
NO_IMAGE = "no 'image', which is required; there is"
NO_LISTING = "a web server lists no folders; give a file that ends in .csv, .jsonl, .parquet"
COMMA = "a value that holds a comma needs quotes"
CONTROL = "allowed: any text without control characters"
UNIQUE = "ids must be unique (without a column id, they come from the images' names)"


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("", f"stills: '' names nothing; {ALLOWED}"),
        ("none", f"stills: no such file or folder: none; {ALLOWED}"),
        ("none.csv", f"stills: no such file or folder: none.csv; {ALLOWED}"),
        ("text.txt", f"text.txt: not a catalog; {ALLOWED}"),
        ("empty", f"empty: no images here; {LOOKED_FOR}"),
        ("empty/*.jpg", f"empty/*.jpg: no images here; {LOOKED_FOR}"),
        ("empty/a**/b", "a**/b: no valid glob; allowed: * ? [...] within names, and ** as a whole folder"),
        ("foo://x/y", f"foo://x/y: {NO_FOO}"),
        ("zip://a::s3://b/c.zip", "zip://a::s3://b/c.zip: chained URLs (::) cannot be read; give one URL"),
        ("s3://", "s3://: names no bucket or host"),
        ("https://host/stills/", f"https://host/stills/: {NO_LISTING}"),
    ],
)  # fmt: skip
def test_places_that_are_none(spec, line):
    put("text.txt")
    Path("empty").mkdir()
    assert refusal(spec) == line


# --- tables ---------------------------------------------------------------------------------------------


def test_the_same_stills_from_every_kind_of_table(tmp_path):
    rows: list[dict[str, object]] = [
        {"image": "in/a.jpg", "id": " Anna 1 ", "character": "anna", "shot": "s1", "prompt": 'a "b"\nc', "sku": "7"},
        {"image": "/abs/b.png", "id": "日本/é", "character": "", "shot": "s1", "prompt": "", "sku": ""},
        {"image": "s3://bucket/c.webp", "id": "../..", "character": "x", "shot": "", "prompt": "p", "sku": "a,b"},
    ]  # fmt: skip
    seen = {}
    for suffix in (".csv", ".jsonl", ".parquet"):
        catalog = open_catalog(rows_to(suffix, rows))
        assert catalog.count() == 3
        assert catalog.extra_columns == pa.schema([("sku", pa.string())])
        seen[suffix] = list(catalog.stills())
    assert [still.where for still in seen[".csv"]] == ["stills.csv:2", "stills.csv:4", "stills.csv:5"]
    assert [still.where for still in seen[".jsonl"]] == [f"stills.jsonl:{line}" for line in (1, 2, 3)]
    assert [still.where for still in seen[".parquet"]] == [f"stills.parquet:{row}" for row in (1, 2, 3)]
    expected = [
        Still("Anna 1", f"{tmp_path}/in/a.jpg", "", "anna", "s1", 'a "b"\nc', {"sku": "7"}),
        Still("日本/é", "/abs/b.png", "", None, "s1", None, {"sku": ""}),
        Still("../..", "s3://bucket/c.webp", "", "x", None, "p", {"sku": "a,b"}),
    ]
    for stills in seen.values():
        assert [Still(s.id, s.uri, "", s.character, s.shot, s.prompt, s.extra) for s in stills] == expected


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_tables_lie_anywhere_and_images_beside_them(place, suffix):
    local = rows_to(suffix, [{"image": "a.jpg"}, {"image": "sub/b.jpg"}, {"image": "../c.jpg"}])
    remote = put(f"{place}/deep/list{suffix}", Path(local).read_bytes())
    stills = list(open_catalog(remote).stills())
    assert [still.id for still in stills] == ["a", "sub/b", "../c"]
    if "://" in place:
        assert [still.uri for still in stills] == [
            f"{place}/deep/a.jpg",
            f"{place}/deep/sub/b.jpg",
            f"{place}/c.jpg",
        ]
    else:
        assert [os.path.normpath(still.uri) for still in stills][2] == str(Path.cwd() / place / "c.jpg")


@pytest.mark.parametrize(
    ("image", "still_id"),
    [
        ("a/b.jpg", "a/b"),
        ("./a/b.tar.jpg", "./a/b.tar"),
        (".jpg", ".jpg"),
        ("a/.jpg", "a/.jpg"),
        ("plain", "plain"),
        ("v1.2/plain", "v1.2/plain"),
        ("/abs/dir/x.png", "x"),
        ("s3://bucket/dir/x.png", "x"),
        ("https://user:pw@host/dir/x.png?sig=abc/def.jpg#f", "x"),
        ("  a.jpg ", "a"),
    ],
)
def test_ids_come_from_the_images_names(image, still_id):
    (still,) = open_catalog(rows_to(".csv", [{"image": image}])).stills()
    assert still.id == still_id


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_pictures_of_characters_lie_where_images_do(place, suffix):
    rows = [
        {"image": "a.jpg", "character": "refs/mira.png"},
        {"image": "b.jpg", "character": "../cast/Mira Voss.JPEG"},
        {"image": "c.jpg", "character": "/abs/mira.webp"},
        {"image": "d.jpg", "character": "Mira"},
        {"image": "e.jpg", "character": "  "},
    ]
    table = put(f"{place}/deep/list{suffix}", Path(rows_to(suffix, rows)).read_bytes())
    stills = list(open_catalog(table).stills())
    names = ["refs/mira.png", "../cast/Mira Voss.JPEG", "/abs/mira.webp", "Mira", None]
    assert [still.character for still in stills] == names
    root = place if "://" in place else str(Path.cwd() / place)
    found = [still.character_uri for still in stills]
    assert found[0] == f"{root}/deep/refs/mira.png"
    assert found[1] is not None and os.path.normpath(found[1]) == os.path.normpath(
        f"{root}/cast/Mira Voss.JPEG"
    )
    assert found[2:] == ["/abs/mira.webp", None, None]


@pytest.mark.parametrize(
    ("character", "uri"),
    [
        ("Dr. Png", None),
        ("v1.2", None),
        (".png", "{here}/.png"),
        ("s3://bucket/mira", None),
        ("s3://bucket/mira.png", "s3://bucket/mira.png"),
        ("s3://bucket/who?.png", "s3://bucket/who?.png"),
        ("mira.png?sig=abc", None),
        ("https://wiki/Mira", None),
    ],
)
def test_a_character_is_a_picture_where_it_ends_like_one(tmp_path, character, uri):
    (still,) = open_catalog(rows_to(".csv", [{"image": "a.jpg", "character": character}])).stills()
    assert still.character == character
    assert still.character_uri == (uri and uri.format(here=tmp_path))


def test_a_signed_url_of_a_character_is_read_whole_and_named_without_its_secret():
    url = "https://me:hunter2@host/mira.png?sig=abc/def#f"
    (still,) = open_catalog(rows_to(".csv", [{"image": "a.jpg", "character": url}])).stills()
    assert still.character_uri == url
    assert still.character == "https://host/mira.png"


def test_a_place_of_a_character_that_cannot_be_read_names_its_row():
    catalog = open_catalog(rows_to(".csv", [{"image": "a.jpg", "character": "foo://b/mira.png"}]))
    with pytest.raises(InputError, match=re.escape(f"stills.csv:2: foo://b/mira.png: {NO_FOO}")):
        list(catalog.stills())


BAD_TABLES = [
    ("a.csv", b"", "a.csv: is empty; expected column names first, image among them"),
    ("a.csv", b"image\n", f"a.csv: {NO_ROWS}"),
    ("a.csv", b"image,id\na.jpg,1\nb.jpg\n", f"a.csv:3: 1 values for 2 columns (image, id); {COMMA}"),
    ("a.csv", b"image\n\n\na.jpg,b.jpg\n", f"a.csv:4: 2 values for 1 columns (image); {COMMA}"),
    ("a.csv", b'image,p\na.jpg,"1\n2"\n,x\n', "a.csv:4: image is empty; expected a path or a URL"),
    ("a.csv", b"Image,id\na.jpg,1\n", f"a.csv:2: {NO_IMAGE}: Image, id"),
    ("a.csv", b"image;id\na.jpg;1\n", f"a.csv:2: {NO_IMAGE}: image;id; columns are separated by commas"),
    ("a.csv", b"image,id\na.jpg,  \n", "a.csv:2: the id '' is empty; allowed: 1 to 200 characters"),
    ("a.csv", b"image,id\na," + b"x" * 201, f"a.csv:2: the id '{'x' * 40}...' has 201 characters; allowed: 1 to 200"),
    ("a.csv", b"image,id\na.jpg,a\tb\n", f"a.csv:2: the id 'a\\u0009b' holds the character U+0009; {CONTROL}"),
    ("a.csv", b"image,image\na.jpg,b\n", "a.csv:1: column 'image' stands twice"),
    ("a.csv", b"image,\na.jpg,b\n", "a.csv:1: column 2 has no name; give it one or leave it out"),
    ("a.csv", b"image,a\x07\na.jpg,b\n", "a.csv:1: the column name 'a\\u0007' holds control characters"),
    ("a.csv", b"image\na.jpg\nb\xff.jpg\n", "a.csv:3: not UTF-8 text; save it as UTF-8"),
    ("a.csv", "image\na.jpg\n".encode("utf-16"), "a.csv:1: not UTF-8 text; save it as UTF-8"),
    ("a.csv", b'image,p\na.jpg,"x\n', "a.csv:2: not valid CSV: unexpected end of data"),
    ("a.csv", b'image,p\na.jpg,"x"y\n', "a.csv:2: not valid CSV: ',' expected after '\"'"),
    ("a.csv", b"image\ns3://b/a.jpg\nfoo://b/c\n", f"a.csv:3: foo://b/c: {NO_FOO}"),
    ("a.csv", b"image\nhttps://host/\n", "a.csv:2: the id '' is empty; allowed: 1 to 200 characters"),
    ("a.csv", ("," * 1000).encode(), "a.csv:1: 1001 columns; allowed: 1000"),
    ("a.jsonl", b"", f"a.jsonl: {NO_ROWS}"),
    ("a.jsonl", b"\n \n", f"a.jsonl: {NO_ROWS}"),
    ("a.jsonl", b'{"image": "a"}\n{"image"\n', "a.jsonl:2: not valid JSON: Expecting ':' delimiter (column 9)"),
    ("a.jsonl", b'{"image": "a"} {}\n', "a.jsonl:1: not valid JSON: Extra data (column 16)"),
    ("a.jsonl", b'["a.jpg"]\n', 'a.jsonl:1: a list; expected an object such as {"image": "a.jpg"}'),
    ("a.jsonl", b"null\n", 'a.jsonl:1: null; expected an object such as {"image": "a.jpg"}'),
    ("a.jsonl", b"{}\n", f"a.jsonl:1: {NO_IMAGE}: nothing"),
    ("a.jsonl", b'{"id": "a", "img": "b"}\n', f"a.jsonl:1: {NO_IMAGE}: id, img"),
    ("a.jsonl", b'{"image": null}\n', "a.jsonl:1: image is null; expected a path or a URL"),
    ("a.jsonl", b'{"image": ["a"]}\n', "a.jsonl:1: image is a list; expected a path or a URL"),
    ("a.jsonl", b'{"image": "a", "id": 1.5}\n', "a.jsonl:1: id is a number; allowed: a text or a whole number"),
    ("a.jsonl", b'{"image": "a", "id": true}\n', "a.jsonl:1: id is a boolean; allowed: a text or a whole number"),
    ("a.jsonl", b'{"image": "a", "id": ""}\n', "a.jsonl:1: the id '' is empty; allowed: 1 to 200 characters"),
    ("a.jsonl", b'{"image": "a", "prompt": ["x"]}\n', "a.jsonl:1: prompt is a list; allowed: a text"),
    ("a.jsonl", b'{"image": "a", "x": 1, "x": 2}\n', "a.jsonl:1: not valid JSON: the key 'x' stands twice"),
    ("a.jsonl", b'{"image": "a", "x": NaN}\n', "a.jsonl:1: not valid JSON: NaN is no JSON number"),
    ("a.jsonl", b'{"image": "a", "x": 1e999}\n', "a.jsonl:1: not valid JSON: the number 1e999 is too large"),
    ("a.jsonl", b'{"image": "\\ud800"}', "a.jsonl:1: half a surrogate pair (\\ud...); allowed: whole characters"),
    ("a.jsonl", b'{"image": "a"}\n{"image": "\xe9"}\n', "a.jsonl:2: not UTF-8 text; save it as UTF-8"),
    ("a.jsonl", b'{"image": ' + b"[" * 100_000 + b"}\n", "a.jsonl:1: nested too deeply"),
    ("a.jsonl", b'{"image": "' + b"a" * (8 * 2**20) + b'"}\n', "a.jsonl:1: a line of more than 8 MiB"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "line"), BAD_TABLES, ids=[line[:60] for *_, line in BAD_TABLES])
def test_bad_tables_are_told_in_one_line(name, data, line):
    assert refusal(put(name, data)) == line


def test_bad_parquet_files():
    assert refusal(put("a.parquet", b"no")).startswith(
        "a.parquet: cannot be read as Parquet: Parquet file size is 2 bytes"
    )
    rows_to(".parquet", [{"image": f"{i}.jpg"} for i in range(1000)])
    whole = Path("stills.parquet").read_bytes()
    for damaged in (whole[:-100], whole[:4] + bytes(len(whole) - 8) + whole[-4:]):
        assert refusal(put("cut.parquet", damaged)).startswith("cut.parquet: cannot be read as Parquet: ")
    pq.write_table(pa.table({"image": pa.array([], pa.string())}), "none.parquet")
    assert refusal("none.parquet") == "none.parquet: no rows; expected one for every still"
    pq.write_table(pa.table({"image": [1.5]}), "number.parquet")
    assert refusal("number.parquet") == "number.parquet:1: image is a number; expected a path or a URL"
    pq.write_table(pa.table({"image": ["a", "b"], "id": [1.0, 2.0]}), "float.parquet")
    assert refusal("float.parquet") == "float.parquet:1: id is a number; allowed: a text or a whole number"
    pq.write_table(pa.table({"image": ["a", "b"], "id": ["1", None]}), "null.parquet")
    assert [still.id for still in open_catalog("null.parquet").stills()] == ["1", "b"]


@pytest.mark.parametrize(
    ("suffix", "wheres"),
    [
        (".csv", ("stills.csv:3", "stills.csv:5")),
        (".jsonl", ("stills.jsonl:2", "stills.jsonl:4")),
        (".parquet", ("stills.parquet:2", "stills.parquet:4")),
    ],
)
def test_rows_with_the_same_id_are_both_named(suffix, wheres):
    rows: list[dict[str, object]] = [{"image": f"{name}.jpg", "id": name} for name in ("x", "a", "y", " a ")]
    assert refusal(rows_to(suffix, rows)) == f"{wheres[0]} and {wheres[1]} both have id 'a'; {UNIQUE}"


def test_files_with_the_same_id_are_both_named():
    for name in ("in/a/b.jpg", "in/a/b.png", "in/c.png"):
        put(name)
    assert refusal("in") == "in/a/b.jpg and in/a/b.png both have id 'a/b'; rename one of them"


def test_ids_that_only_look_the_same_are_different():
    names = ["É", "E\u0301", "é", "ａ", "a", "A"]
    rows: list[dict[str, object]] = [{"image": "x.jpg", "id": name} for name in names]
    assert [still.id for still in open_catalog(rows_to(".csv", rows)).stills()] == names


def test_csv_with_byte_order_mark_empty_lines_and_spaces():
    put("a.csv", b"\xef\xbb\xbf\r\n image , id \r\n\r\n a.jpg , x \r\n\r\nb.jpg,y\r\n\r\n")
    stills = list(open_catalog("a.csv").stills())
    assert [(still.id, Path(still.uri).name, still.where) for still in stills] == [
        ("x", "a.jpg", "a.csv:4"),
        ("y", "b.jpg", "a.csv:6"),
    ]


# --- extra columns --------------------------------------------------------------------------------------


def test_json_scalars_keep_their_types_where_a_column_agrees():
    put(
        "a.jsonl",
        '{"image":"a","i":1,"f":1,"b":true,"s":"x","m":1,"n":{"k":[1,"é"]},"big":1,"z":null}\n'
        '{"image":"b","i":-2,"f":2.5,"b":false,"s":"","m":"one","n":[null],"big":9223372036854775808}\n'
        '{"image":"c","late":3}\n',
    )
    catalog = open_catalog("a.jsonl")
    assert {field.name: str(field.type) for field in catalog.extra_columns} == {
        "i": "int64",
        "f": "double",
        "b": "bool",
        "s": "string",
        "m": "string",
        "n": "string",
        "big": "string",
        "z": "string",
        "late": "int64",
    }
    first, second, third = (still.extra for still in catalog.stills())
    assert first["n"] == '{"k": [1, "é"]}'
    assert dict(first, n=0) == {
        "i": 1, "f": 1.0, "b": True, "s": "x", "m": "1", "n": 0, "big": "1", "z": None, "late": None
    }  # fmt: skip
    assert second["n"] == "[null]"
    assert second["big"] == "9223372036854775808"
    assert third == dict.fromkeys(first) | {"late": 3}
    assert pa.Table.from_pylist([dict(first), dict(second), dict(third)], catalog.extra_columns).num_rows == 3


def test_parquet_types_are_kept_or_become_text():
    columns = {
        "image": ["a.jpg", "b.jpg"],
        "i8": pa.array([1, None], pa.int8()),
        "u64": pa.array([2**64 - 1, 0], pa.uint64()),
        "f32": pa.array([0.5, float("nan")], pa.float32()),
        "f16": pa.array([0.5, None], pa.float16()),
        "flag": [True, None],
        "day": [date(2026, 1, 2), None],
        "at": pa.array([1, None], pa.timestamp("ns")),
        "zoned": [datetime(2026, 1, 2, tzinfo=UTC), None],
        "price": [Decimal("1.50"), None],
        "blob": [b"\xff", None],
        "list": [[1, 2], None],
        "struct": [{"a": "é"}, None],
        "word": pa.array(["x", None]).dictionary_encode(),
        "large": pa.array(["y", None], pa.large_string()),
        "void": pa.nulls(2),
    }
    pq.write_table(pa.table(columns), "a.parquet")
    catalog = open_catalog("a.parquet")
    kept = {"i8": "int8", "u64": "uint64", "f32": "float", "f16": "float", "flag": "bool"}
    assert {f.name: str(f.type) for f in catalog.extra_columns} == dict.fromkeys(
        list(columns)[1:], "string"
    ) | kept
    first, second = (dict(still.extra) for still in catalog.stills())
    assert first == {
        "i8": 1,
        "u64": 2**64 - 1,
        "f32": 0.5,
        "f16": 0.5,
        "flag": True,
        "day": "2026-01-02",
        "at": "1970-01-01 00:00:00.000000001",
        "zoned": "2026-01-02 00:00:00.000000Z",
        "price": "1.50",
        "blob": "/w==",
        "list": "[1, 2]",
        "struct": '{"a": "é"}',
        "word": "x",
        "large": "y",
        "void": None,
    }
    assert second == dict.fromkeys(first) | {"u64": 0}
    assert pa.Table.from_pylist([first, second], catalog.extra_columns).num_rows == 2


def test_names_of_the_manifest_are_carried_under_another():
    put("a.csv", "image,Status,seed,sku\na.jpg,new,7,x\n")
    catalog = open_catalog("a.csv", reserved=frozenset({"status", "seed", "image"}))
    assert catalog.extra_columns.names == ["catalog_Status", "catalog_seed", "sku"]
    (still,) = catalog.stills()
    assert still.extra == {"catalog_Status": "new", "catalog_seed": "7", "sku": "x"}
    put("b.csv", "image,seed,catalog_seed\na.jpg,1,2\n")
    line = "b.csv: two columns would be carried as 'catalog_seed'; rename one of them"
    assert refusal("b.csv", reserved=frozenset({"seed"})) == line


# --- properties -----------------------------------------------------------------------------------------

LINE_FREE = st.characters(exclude_categories=("Cs",), exclude_characters="\r")
ID = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(
    lambda s: s.strip() == s
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(ID, st.text(LINE_FREE, max_size=20)), min_size=1, max_size=20, unique_by=lambda row: row[0]
    )
)
def test_any_csv_comes_back_as_it_was_written(rows):
    name = rows_to(
        ".csv",
        [{"image": f"<{i}>.jpg", "id": still_id, "note": note} for i, (still_id, note) in enumerate(rows)],
    )
    catalog = open_catalog(name)
    stills = list(catalog.stills())
    assert catalog.count() == len(stills) == len(rows)
    assert [(still.id, still.extra["note"]) for still in stills] == rows
    lines = Path(name).read_bytes().decode().replace("\r\n", "\n").split("\n")
    for number, still in enumerate(stills):
        assert f"<{number}>" in lines[int(still.where.partition(":")[2]) - 1]


ODD_CELL = st.text(st.sampled_from('aA/. \t"\n,\u00a0\u200bé:?'), max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(ODD_CELL, ODD_CELL), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([".csv", ".parquet"]),
)
def test_the_fast_way_passes_only_what_the_exact_way_passes(rows, with_ids, suffix):
    rows = [
        {"image": image, "id": still_id} if with_ids else {"image": image, "x": ""}
        for image, still_id in rows
    ]
    catalog = open_catalog(rows_to(suffix, rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_WORTH_SCREENING_ROWS", 0)
        screened = catalog._source.screen()
    if screened is not None:
        assert catalog._check_all() == screened


def test_large_tables_take_the_fast_way_and_are_checked_as_well():
    rows = [f"in/{i}.jpg,{i},{i % 7}" for i in range(60_000)]
    put("a.csv", "image,id,n\n" + "\n".join(rows))
    catalog = open_catalog("a.csv")
    assert catalog._source.screen() == catalog.count() == 60_000
    assert sum(1 for _ in catalog.stills()) == 60_000
    rows[59_999] = "in/x.jpg,17,0"
    put("b.csv", "image,id,n\n" + "\n".join(rows))
    assert refusal("b.csv").startswith("b.csv:19 and b.csv:60001 both have id '17'; ")
    rows[59_999] = "in/x.jpg,17"
    put("c.csv", "image,id,n\n" + "\n".join(rows))
    assert refusal("c.csv").startswith("c.csv:60001: 2 values for 3 columns")


# --- far away -------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server on the test's folder: no ranges, no listing that fsspec could use."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_tables_on_a_web_server(web, suffix):
    Path("dir").mkdir()
    rows_to(suffix, [{"image": f"in/{i}.jpg"} for i in range(3000)], name="dir/list")
    stills = list(open_catalog(f"{web}/dir/list{suffix}?token=hunter2").stills())
    assert len(stills) == 3000
    assert (stills[7].uri, stills[7].id) == (f"{web}/dir/in/7.jpg", "in/7")
    assert all("hunter2" not in still.where for still in stills)
    line = refusal(f"{web}/dir/none{suffix}?token=hunter2")
    assert line == f"{web}/dir/none{suffix}: no such object, folder or bucket"


@pytest.mark.parametrize(
    "spec",
    [
        "ftp://bob:hunter2@127.0.0.1:9/list.csv",
        "s3://AKIA:hunter2@bucket/in",
        "s3://AKIA:hunter2@bucket/list.csv",
        "https://bob:hunter2@127.0.0.1:9/list.csv?sig=hunter2#hunter2",
        "https://127.0.0.1:9/dir/?sig=hunter2",
        "foo://bob:hunter2@host/x",
    ],
)
def test_no_message_holds_a_secret(spec, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert "hunter2" not in refusal(spec)


def test_rows_with_secrets_keep_them_out_of_ids_and_places():
    put("a.csv", "image\nhttps://bob:hunter2@host/a.jpg?sig=hunter2\n")
    (still,) = open_catalog("a.csv").stills()
    assert still.uri == "https://bob:hunter2@host/a.jpg?sig=hunter2"
    assert (still.id, still.where) == ("a", "a.csv:2")


def test_missing_buckets_objects_and_credentials(moto, use_s3, monkeypatch):
    import s3fs

    bucket = use_s3(moto)
    missing = "no such object, folder or bucket"
    assert refusal(f"{bucket}/in") == f"{bucket}/in: {missing}"
    assert refusal(f"{bucket}/in/*.jpg") == f"{bucket}/in/*.jpg: {missing}"
    assert refusal(f"{bucket}/list.csv") == f"{bucket}/list.csv: {missing}"
    assert refusal("s3://no-such-bucket/in") == f"s3://no-such-bucket/in: {missing}"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3fs.S3FileSystem.clear_instance_cache()
    expected = "no usable credentials (NoCredentialsError); set them in the environment or a profile"
    assert refusal(f"{bucket}/in") == f"{bucket}/in: {expected}"
    assert refusal(f"{bucket}/list.csv") == f"{bucket}/list.csv: {expected}"
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_missing_package_is_named_with_what_brings_it():
    program = (
        "import sys; sys.modules['s3fs'] = sys.modules['gcsfs'] = None\n"
        "from farm.catalog.sources import open_catalog\n"
        "from farm.errors import InputError\n"
        "for spec in ('s3://b/in', 'gs://b/in', 'a.csv'):\n"
        "    try: list(open_catalog(spec).stills())\n"
        "    except InputError as e: print(e)\n"
    )
    put("a.csv", "image\ns3://b/a.jpg\n")
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == [
        "s3://b/in: s3:// needs another package: pip install 'circletake[s3]'",
        "gs://b/in: gs:// needs another package: Please install gcsfs to access Google Storage",
        "a.csv:2: s3://b/a.jpg: s3:// needs another package: pip install 'circletake[s3]'",
    ]
