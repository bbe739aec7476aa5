"""Motions: from a library, from ids, inline; and one line for everything that can be wrong with them."""

from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from farm.catalog.motions import Kind, LibrarySpec, MotionSpec, MotionsSpec, load_motions
from farm.documents import Document, parse_yaml, validate
from farm.errors import InputError
from farm.ids import segment
from farm.values import Motion

ROOT = Path(__file__).parents[2]
LIBRARY = """
motions:
  - id: hair
    kind: hair
    prompt: >
      Hair moves
      in the wind.
    camera: static
    ambient: [sway]
  - id: push-in
    prompt: The camera pushes in.
    camera: push-in
    ambient: []
    strength: 1.5
  - {id: 笑顔, prompt: A smile.}
"""
HAIR = Motion("hair", "Hair moves in the wind.", "static", ("sway",), 1.0, "hair")
PUSH_IN = Motion("push-in", "The camera pushes in.", "push-in", (), 1.5, None)
SMILE = Motion("笑顔", "A smile.", None, None, 1.0, None)


class Asks(Document):
    """Motions as they stand in a job."""

    motions: MotionsSpec


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jobs/motions").mkdir(parents=True)
    Path("jobs/motions/subtle.yaml").write_text(LIBRARY, encoding="utf-8")


def load(text: str, base: str = "jobs") -> tuple[Motion, ...]:
    asked = validate(Asks, parse_yaml(f"motions: {text}", where="job.yaml"), where="job.yaml")
    return load_motions(asked.motions, where="job.yaml", base=Path(base))


def refusal(text: str, base: str = "jobs") -> str:
    with pytest.raises(InputError) as caught:
        load(text, base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "motions"),
    [
        ("jobs/motions/subtle.yaml", (HAIR, PUSH_IN, SMILE)),
        ("motions/subtle.yaml", (HAIR, PUSH_IN, SMILE)),  # beside the job
        ("[push-in, hair]", (PUSH_IN, HAIR)),
        ("[笑顔]", (SMILE,)),
        ("{library: motions/subtle.yaml, ids: [hair]}", (HAIR,)),
        ("[{id: a, prompt: b}, hair]", (Motion("a", "b"), HAIR)),
        ("[{id: ' a ', prompt: ' b\n   c ', camera: tilt-up, ambient: [drift, flicker], strength: 3}]",
         (Motion("a", "b c", "tilt-up", ("drift", "flicker"), 3.0),)),
    ],
)  # fmt: skip
def test_what_can_be_asked_for(text, motions):
    assert load(text) == motions


def test_inline_motions_need_no_library(tmp_path):
    Path("jobs/motions/subtle.yaml").write_text("motions: {", encoding="utf-8")
    assert load("[{id: a, prompt: b}]") == (Motion("a", "b"),)
    assert refusal("[a]").startswith("jobs/motions/subtle.yaml:1: not valid YAML: ")


CAMERAS = "static, push-in, pull-out, pan-left, pan-right, tilt-up, tilt-down, orbit-left, orbit-right"
FORMS = "expected a library file, a list of ids and motions, or {library, ids}"
CONTROL = "allowed: any text without control characters"
KEYS = "allowed: id, prompt, camera, ambient, strength, kind"
AMBIENT = "allowed: sway, ripple, drift, flicker, breathe"
KNOWN = "allowed: hair, push-in, 笑顔"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[hiar]", f"motions: no motion 'hiar' in jobs/motions/subtle.yaml; did you mean 'hair'? {KNOWN}"),
        ("[zoom]", f"motions: no motion 'zoom' in jobs/motions/subtle.yaml; {KNOWN}"),
        ("[Hair]", f"motions: no motion 'Hair' in jobs/motions/subtle.yaml; did you mean 'hair'? {KNOWN}"),
        ("{library: x, ids: [no]}", "motions.ids.0=false: expected a text; put it in quotes"),
        ("{library: motions/subtle.yaml, ids: ['no']}",
         f"motions.ids: no motion 'no' in jobs/motions/subtle.yaml; {KNOWN}"),
        ("{library: none.yaml, ids: [hair]}", "motions: no library file none.yaml"),
        ("none.yaml", "motions: no library file none.yaml"),
        ("hair", "motions: no library file hair; ids are written as a list: [hair]"),
        ("jobs", "motions: no library file jobs; ids are written as a list: [jobs]"),
        ("[]", "motions is empty; expected at least one motion"),
        ("[hair, hair]", "motions: 'hair' stands twice; each motion is rendered once"),
        ("[hair, {id: hair, prompt: x}]", "motions: 'hair' stands twice; each motion is rendered once"),
        ("3", f"motions=3: {FORMS}"),
        ("", f"motions=nothing: {FORMS}"),
        ("[3]", "motions.0=3: expected the id of a motion, or a motion: {id, prompt, ...}"),
        ("[[hair]]", "motions.0=['hair']: expected the id of a motion, or a motion: {id, prompt, ...}"),
        ("{library: x}", "motions.ids: is required"),
        ("{library: x, ids: []}", "motions.ids=[]: expected 1 or more"),
        ("{library: x, ids: hair}", "motions.ids='hair': expected a list"),
        ("{library: x, ids: [hair], id: a}", "motions.id: unknown key; did you mean 'ids'? allowed: library, ids"),
        ("[{id: a}]", "motions.0.prompt: is required"),
        ("[{id: a, prompt: ' '}]", "motions.0.prompt=' ': has 0 characters; allowed: 1 to 2000"),
        (f"[{{id: a, prompt: {'x' * 2001}}}]",
         f"motions.0.prompt='{'x' * 56}...: has 2001 characters; allowed: 1 to 2000"),
        ("[{id: '', prompt: x}]", "motions.0.id='': is empty; allowed: 1 to 200 characters"),
        ('[{id: "a\\tb", prompt: x}]', f"motions.0.id='a\\tb': holds the character U+0009; {CONTROL}"),
        ("[hair, {id: 7, prompt: x}]", "motions.1.id=7: expected a text; put it in quotes"),
        ("[{id: a, prompt: x, camera: zoom-in}]", f"motions.0.camera='zoom-in': allowed: {CAMERAS}"),
        ("[{id: a, prompt: x, camera: push_in}]",
         f"motions.0.camera='push_in': did you mean 'push-in'? allowed: {CAMERAS}"),
        ("[{id: a, prompt: x, ambient: sway}]", "motions.0.ambient='sway': expected a list"),
        ("[{id: a, prompt: x, ambient: [sway, sway]}]", "motions.0.ambient: 'sway' stands twice"),
        ("[{id: a, prompt: x, ambient: [swing]}]", f"motions.0.ambient.0='swing': {AMBIENT}"),
        ("[{id: a, prompt: x, strength: 0}]", "motions.0.strength=0: should be greater than 0"),
        ("[{id: a, prompt: x, strength: 3.5}]", "motions.0.strength=3.5: should be less than or equal to 3"),
        ("[{id: a, prompt: x, strength: .nan}]", "motions.0.strength=nan: should be a finite number"),
        ("[{id: a, prompt: x, strength: '2'}]", "motions.0.strength='2': expected a number; leave out the quotes"),
        ("[{id: a, prompt: x, strength: yes}]", "motions.0.strength=true: expected a number"),
        ("[{id: a, prompt: x, promt: y}]", f"motions.0.promt: unknown key; did you mean 'prompt'? {KEYS}"),
    ],
)  # fmt: skip
def test_wrong_motions_are_told_in_one_line(text, line):
    assert refusal(text) == f"job.yaml: {line}"


def test_wrong_libraries_are_told_with_their_own_name():
    library = Path("jobs/motions/subtle.yaml")
    for text, line in (
        ("", "jobs/motions/subtle.yaml: expected a mapping of keys to values, got nothing"),
        ("- hair", "jobs/motions/subtle.yaml: expected a mapping of keys to values, got a list"),
        ("motions: []", "jobs/motions/subtle.yaml: motions=[]: expected 1 or more"),
        ("motions: [hair]", "jobs/motions/subtle.yaml: motions.0='hair': expected a mapping"),
        ("motions: [{id: a, prompt: b}, {id: ' a', prompt: c}]",
         "jobs/motions/subtle.yaml: motions: the id 'a' stands twice; ids must be unique"),
        ("motions: [{id: a, prompt: b}]\nmotion: []",
         "jobs/motions/subtle.yaml: motion: unknown key; did you mean 'motions'? allowed: motions"),
    ):  # fmt: skip
        library.write_text(text, encoding="utf-8")
        assert refusal("jobs/motions/subtle.yaml") == line


def test_an_id_in_two_libraries_is_ambiguous():
    Path("other/motions").mkdir(parents=True)
    Path("other/motions/mine.yaml").write_text(
        "motions: [{id: hair, prompt: Mine.}, {id: b, prompt: c}]", encoding="utf-8"
    )
    assert load("[b, push-in]", "other") == (Motion("b", "c"), PUSH_IN)
    assert refusal("[hair]", "other") == (
        "job.yaml: motions: 'hair' stands in jobs/motions/subtle.yaml and in other/motions/mine.yaml; "
        "say which: {library: FILE, ids: [...]}"
    )
    assert load("{library: other/motions/mine.yaml, ids: [hair]}") == (Motion("hair", "Mine."),)


def test_without_any_library_ids_cannot_be_looked_up():
    Path("jobs/motions/subtle.yaml").unlink()
    assert refusal("[hair]", "there") == (
        "job.yaml: motions: no library to look up 'hair' in; "
        "allowed: jobs/motions/*.yaml, there/motions/*.yaml, or {library: FILE, ids: [...]}"
    )


@given(
    motion=st.builds(
        MotionSpec,
        id=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200).filter(
            str.strip
        ),
        prompt=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=2000).filter(
            str.strip
        ),
        strength=st.floats(0, 3, exclude_min=True),
    )
)
def test_any_motion_comes_back_from_yaml(motion):
    text = yaml.safe_dump({"motions": [motion.model_dump()]}, allow_unicode=True)
    again = validate(Asks, parse_yaml(text, where="a"), where="a")
    assert load_motions(again.motions, where="a", base=Path()) == (motion.motion(),)
    assert segment(motion.id)


def test_what_was_asked_for_can_be_stored_and_asked_again():
    for asked in (
        "a.yaml",
        ["hair", MotionSpec(id="a", prompt="b")],
        LibrarySpec(library="a.yaml", ids=["hair"]),
    ):
        asks = Asks(motions=asked)
        assert Asks.model_validate(asks.model_dump(mode="json")) == asks


def test_the_library_that_is_shipped():
    motions = load_motions(str(ROOT / "jobs/motions/subtle.yaml"), where="here", base=Path())
    assert {motion.kind for motion in motions} == set(get_args(Kind))
    assert all(motion.camera is not None and motion.ambient is not None for motion in motions)
