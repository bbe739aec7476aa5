"""Who judges: what a job asks for is made definite, or refused, before anything heavy is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
from networks import Brightness, Features, scorer_folder, write_card

from farm.errors import InputError
from farm.score import faces, panel
from farm.score.dimensions import DIMENSIONS
from farm.values import Scoring

OWN = tuple(dimension.name for dimension in DIMENSIONS)
installed = pytest.mark.skipif(not faces.installed(), reason="the extra faces is not installed")


@pytest.fixture
def without_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)  # as if it were not installed


@installed
def test_auto_is_what_is_installed():
    assert panel.resolve(0.5, "auto", []) == panel.resolve(0.5, True, []) == Scoring(0.5, True, ())
    assert panel.resolve(0.5, False, []) == Scoring(0.5, False, ())


@pytest.mark.usefixtures("without_faces")
def test_auto_without_the_extra_is_off_and_true_is_refused():
    assert panel.resolve(0.5, "auto", []) == panel.resolve(0.5, False, []) == Scoring(0.5, False, ())
    with pytest.raises(InputError, match=r"dlib not installed; pip install 'circletake\[faces\]'"):
        panel.resolve(0.5, True, [])
    with pytest.raises(InputError, match="dlib not installed"):
        panel.scorer(Scoring(0.5, True))  # resolved on a machine that had it


def test_dimensions_stand_in_the_order_of_the_job(tmp_path):
    for name in ("b_light", "a_light"):
        scorer_folder(tmp_path / name, Brightness(), name=name)
    scoring = panel.resolve(0.5, False, [tmp_path / "b_light", tmp_path / "a_light"])
    assert panel.dimensions(scoring) == (*OWN, "b_light", "a_light")
    assert panel.scorer(scoring).dimensions == panel.dimensions(scoring)


@installed
def test_faces_come_before_what_was_learned(tmp_path):
    folder = scorer_folder(tmp_path / "light", Brightness(), name="light")
    scoring = panel.resolve(0.5, True, [folder])
    assert panel.dimensions(scoring) == (*OWN, faces.DIMENSION.name, "light")
    assert panel.scorer(scoring).dimensions == panel.dimensions(scoring)


def test_folders_are_absolute_for_workers_that_stand_elsewhere(tmp_path, monkeypatch):
    scorer_folder(tmp_path / "light", Brightness())
    monkeypatch.chdir(tmp_path)
    assert panel.resolve(0.5, False, [Path("light")]).learned == (str(tmp_path / "light"),)


@installed
def test_no_learned_scorer_is_called_like_the_faces(tmp_path):
    folder = scorer_folder(tmp_path / "light", Brightness(), name=faces.DIMENSION.name)
    with pytest.raises(InputError, match="light: the dimension face_consistency is there already"):
        panel.resolve(0.5, True, [folder])
    assert panel.resolve(0.5, False, [folder]).learned == (str(folder),)


def test_a_record_holds_what_judges_and_not_where_it_lies(tmp_path):
    here, there = (scorer_folder(tmp_path / name, Brightness()) for name in ("here", "there"))

    def described(folder: Path) -> dict[str, object]:
        return panel.described(panel.resolve(0.5, False, [folder]))

    before = described(here)
    assert before == described(there) and str(tmp_path) not in str(before)
    write_card(there, limit=0.2)
    assert described(there) != before, "another card is another scorer"
    scorer_folder(there, Features())
    assert described(there) != before, "and so are other weights"


def test_resolving_loads_nothing(tmp_path):
    folder = scorer_folder(tmp_path / "light", Brightness())
    program = (
        "import sys; from pathlib import Path; from farm.score import panel\n"
        f"panel.dimensions(panel.resolve(0.5, 'auto', [Path({str(folder)!r})]))\n"
        "print([m for m in ('cv2', 'dlib', 'ray', 'safetensors', 'torch') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
