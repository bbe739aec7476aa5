"""What people write: read strictly, and every mistake told in one line that says where and what is allowed."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from farm.documents import MAX_DOCUMENT_BYTES, Document, parse_yaml, read_yaml, validate
from farm.errors import InputError


class Inner(Document):
    name: str = Field(min_length=1, max_length=5)
    rate: float | None = Field(None, gt=0)
    size: Literal["small", "large"] = "small"


class Outer(Document):
    count: int = Field(1, ge=1)
    live: bool = False
    inner: Inner | None = None
    many: list[str | Inner] = Field(default_factory=list)
    prices: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "Outer":
        if self.live and self.inner is None:
            raise ValueError("live needs inner")
        return self


KEYS = "allowed: count, live, inner, many, prices"


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        validate(Outer, parse_yaml(text, where="a.yaml"), where="a.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "a.yaml:1: not valid YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\n\tb: 2", "a.yaml:2: not valid YAML: a tab; indentation is written in spaces"),
        ("a: 1\n---\nb: 2",
         "a.yaml:2: not valid YAML: expected a single document in the stream, but found another document"),
        ("a: 1\nb: 2\na: 3", "a.yaml:3: not valid YAML: key 'a' stands twice"),
        ("a: {b: 1, b: 2}", "a.yaml:1: not valid YAML: key 'b' stands twice"),
        ("1: a\n1: b", "a.yaml:2: not valid YAML: key 1 stands twice"),
        ("? [a]\n: 1", "a.yaml:1: not valid YAML: a list or a mapping cannot be a key"),
        ("a: !x y", "a.yaml:1: not valid YAML: could not determine a constructor for the tag '!x'"),
        ('x: 1\na: "\\ud800"', "a.yaml:2: not valid YAML: the character U+D800 is not allowed"),
        ('a: "\\0"', "a.yaml:1: not valid YAML: the character U+0000 is not allowed"),
        ("x: 1\na: \x07", "a.yaml:2: not valid YAML: the character U+0007 is not allowed"),
        ("a: 2026-13-45", "a.yaml: not valid YAML: month must be in 1..12"),
        ("a: *b", "a.yaml:1: not valid YAML: found undefined alias 'b'"),
        ("a: b: c", "a.yaml:1: not valid YAML: mapping values are not allowed here"),
        ("[" * 3000, "a.yaml: nested too deeply"),
        ("a: &x [1]\nb: [" + "*x," * 101 + "]", "a.yaml:2: not valid YAML: more than 100 aliases"),
        ("", "a.yaml: expected a mapping of keys to values, got nothing"),
        ("- a", "a.yaml: expected a mapping of keys to values, got a list"),
        ("word", "a.yaml: expected a mapping of keys to values, got a text"),
        ("7", "a.yaml: expected a mapping of keys to values, got int"),
        ("count: '2'", "a.yaml: count='2': expected a whole number; leave out the quotes"),
        ("count: two", "a.yaml: count='two': expected a whole number"),
        ("count: yes", "a.yaml: count=true: expected a whole number"),
        ("count: 2.0", "a.yaml: count=2.0: expected a whole number"),
        ("count:", "a.yaml: count=nothing: expected a whole number"),
        ("count: 0", "a.yaml: count=0: should be greater than or equal to 1"),
        ("count: 0\ninner: 3", "a.yaml: count=0: should be greater than or equal to 1; inner=3: expected a mapping"),
        ("a: 1\nb: 2\nc: 3\nd: 4",
         f"a.yaml: a: unknown key; {KEYS}; b: unknown key; {KEYS}; c: unknown key; {KEYS}; and 1 more"),
        ("live: 1", "a.yaml: live=1: expected true or false"),
        ("live: yes", "a.yaml: live needs inner"),
        ("on: 1", "a.yaml: 1: no key; keys are texts: put it in quotes"),
        ("cuont: 1", f"a.yaml: cuont: unknown key; did you mean 'count'? {KEYS}"),
        ('"a\\nb": 1', f"a.yaml: a\\nb: unknown key; {KEYS}"),
        ("inner: {}", "a.yaml: inner.name: is required"),
        ("inner: {name: x, nam: x}", "a.yaml: inner.nam: unknown key; did you mean 'name'? allowed: name, rate, size"),
        ("inner: {name: ''}", "a.yaml: inner.name='': expected 1 or more characters"),
        ("inner: {name: abcdef}", "a.yaml: inner.name='abcdef': allowed: up to 5 characters"),
        ("inner: {name: 12}", "a.yaml: inner.name=12: expected a text; put it in quotes"),
        ("inner: {name: no}", "a.yaml: inner.name=false: expected a text; put it in quotes"),
        ("inner: {name: 2026-01-02}", "a.yaml: inner.name=2026-01-02: expected a text; put it in quotes"),
        ("inner: {name: [a]}", "a.yaml: inner.name=['a']: expected a text"),
        ("inner: {name: a, rate: .inf}", "a.yaml: inner.rate=inf: should be a finite number"),
        ("inner: {name: a, size: lage}", "a.yaml: inner.size='lage': did you mean 'large'? allowed: small, large"),
        ("many: a", "a.yaml: many='a': expected a list"),
        ("many: [1]", "a.yaml: many.0=1: expected a text or a mapping"),
        ("many: [a, {name: 1}]", "a.yaml: many.1.name=1: expected a text; put it in quotes"),
        ("many: [{name: a, rat: 2}]",
         "a.yaml: many.0.rat: unknown key; did you mean 'rate'? allowed: name, rate, size"),
        ("prices: {H100: -1}", "a.yaml: prices.H100=-1: should be greater than or equal to 0"),
        ("prices: {H100: cheap}", "a.yaml: prices.H100='cheap': expected a number"),
        (f"count: {'x' * 100}", f"a.yaml: count='{'x' * 56}...: expected a whole number"),
    ],
)  # fmt: skip
def test_every_mistake_is_one_line(text, line):
    assert refusal(text) == line


def test_merge_keys_and_aliases_are_yaml():
    text = "x: &x {name: a}\ny:\n  <<: *x\n  rate: 2\n"
    assert parse_yaml(text, where="a") == {"x": {"name": "a"}, "y": {"name": "a", "rate": 2}}


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.yaml"
    for prepare, line in (
        (lambda: None, f"{path}: no such file"),
        (path.mkdir, f"{path}: cannot be read: Is a directory"),
        (lambda: (path.rmdir(), path.write_bytes(b"a: \xff")), f"{path}: not UTF-8 text (byte 3)"),
        (lambda: path.write_bytes(b" " * (MAX_DOCUMENT_BYTES + 1)),
         f"{path}: larger than 8 MiB; large catalogs go into csv, jsonl or parquet"),
    ):  # fmt: skip
        prepare()
        with pytest.raises(InputError) as caught:
            read_yaml(path)
        assert str(caught.value) == line
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\n")
    assert read_yaml(path) == {"a": "é"}


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_what_yaml_writes_is_read_again(value):
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True), where="a") == value


@given(
    st.dictionaries(TEXT | st.sampled_from(["count", "live", "inner", "many", "prices"]), PLAIN, max_size=4)
)
def test_anything_is_valid_or_one_line(value):
    try:
        validate(Outer, value, where="a.yaml")
    except InputError as e:
        assert str(e).startswith("a.yaml: ")
        assert str(e).isprintable()


@given(st.text(max_size=30) | st.text("[]{}:,-?&*!|>'\"%@`#a1 \t\n\\<=", max_size=30))
def test_any_text_is_yaml_or_one_line(text):
    try:
        parse_yaml(text, where="a.yaml")
    except InputError as e:
        assert str(e).startswith("a.yaml")
        assert "\n" not in str(e)


def test_documents_do_not_change(tmp_path: Path):
    document = validate(Outer, {"count": 2}, where="a")
    with pytest.raises(ValueError, match="frozen"):
        document.count = 3  # type: ignore[misc]
