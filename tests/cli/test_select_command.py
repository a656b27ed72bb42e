"""What `frugalseg select` says of its choice, what the workspace keeps of it, and what the report shows."""

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Picture
from running import done, frugalseg

from choosing_worlds import choose_by_place
from frugalseg.annotator import Oracle
from frugalseg.campaign.chosen import choices_of
from frugalseg.campaign.rounds import draw, open_units
from frugalseg.cli.show import console
from frugalseg.data.geometry import Geometry
from frugalseg.data.image import Image
from frugalseg.data.write import write_image
from frugalseg.workspace import Workspace

COLD = ("--strategy", "coreclr")


@pytest.fixture
def work(capsys, tmp_path, monkeypatch):
    """A workspace of three small phantoms in which nobody has drawn, on a console that is wide enough."""
    choose_by_place(monkeypatch)
    monkeypatch.setattr(console, "width", 220)
    done(capsys, "init", tmp_path / "work", "--data", "phantom=anatomy,n=3,shape=20x20x16")
    return tmp_path / "work"


def wanted(work):
    """What the workspace keeps of its last round."""
    workspace = Workspace.open(work)
    return choices_of(workspace, workspace.rounds()[-1])


def rows(said):
    """The cells of the rows of a table."""
    lines = [line for line in said.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_a_cold_start_is_a_ranked_list_with_reasons(capsys, work):
    found = rows(done(capsys, "select", work, *COLD, "--budget", "4"))
    kept = wanted(work)
    assert found == [[str(rank), str(c.unit), c.reason.words] for rank, c in enumerate(kept, 1)]
    assert "nothing was drawn or chosen before it" in found[0][2]
    assert f"nearest chosen: {kept[0].unit}, distance" in found[1][2]
    assert f"position {kept[1].unit.index[0] / 15:.2f}" in found[1][2]


def test_the_list_is_the_same_for_any_budget(capsys, work, tmp_path):
    long = rows(done(capsys, "select", work, *COLD, "--budget", "6"))
    done(capsys, "init", tmp_path / "other", "--data", "phantom=anatomy,n=3,shape=20x20x16")
    assert rows(done(capsys, "select", tmp_path / "other", *COLD, "--units", "2")) == long[:2]


def test_an_open_round_keeps_ranks_and_reasons_of_what_is_left(capsys, work):
    first = rows(done(capsys, "select", work, *COLD, "--budget", "3"))
    workspace = Workspace.open(work)
    next(draw(workspace, Oracle(workspace.pool.truth), open_units(workspace)))
    assert rows(done(capsys, "select", work)) == first[1:]


def test_the_next_round_names_what_was_drawn(capsys, work):
    done(capsys, "select", work, *COLD, "--budget", "2")
    done(capsys, "annotate", work)
    Workspace.open(work).close_round(0)
    drawn = {str(act.unit) for act in Workspace.open(work).drawn()}
    why = rows(done(capsys, "select", work, *COLD, "--budget", "1"))[0][2]
    assert re.match(r"nearest drawn: (.*), distance", why)[1] in drawn


def scans_of(folder, *spacings):
    """A folder of scans, each with one of these spacings along x, y, z."""
    for k, spacing in enumerate(spacings):
        array = np.random.default_rng(k).random((20, 18, 12)).astype(np.float32)
        geometry = Geometry.from_affine(array.shape, np.diag([*spacing, 1.0]))
        write_image(folder / f"v{k}.nii.gz", Image(array, geometry))
    return folder


@pytest.mark.parametrize(("spacing", "axis"), [((1, 1, 1), 2), ((1, 1, 5), 2), ((5, 1, 1), 0), ((1, 8, 2), 1)])
def test_by_default_coreclr_asks_for_slices_across_the_axis_the_scans_are_paged_along(
    capsys, tmp_path, monkeypatch, spacing, axis
):
    choose_by_place(monkeypatch)
    work = tmp_path / "work"
    done(capsys, "init", work, "--images", scans_of(tmp_path / "scans", *[spacing] * 3))
    said = done(capsys, "select", work, "--strategy", "coreclr", "--budget", "12")
    assert {(c.unit.kind, c.unit.axis) for c in wanted(work)} == {("slice", axis)}
    assert len(wanted(work)) == 12
    assert f"slices across axis {axis}, along which 3 of 3 scans are paged; --axis names another" in said
    turn = Workspace.open(work).rounds()[0]
    assert (turn.settings["unit"], turn.settings["axis"]) == ("slice", axis)


def test_scans_that_are_paged_along_another_axis_are_counted(capsys, tmp_path):
    scans = scans_of(tmp_path / "scans", (1, 1, 5), (4, 1, 1), (1, 1, 5), (1, 1, 3))
    done(capsys, "init", tmp_path / "work", "--images", scans)
    said = done(capsys, "select", tmp_path / "work", "--strategy", "strided")
    assert "slices across axis 2, along which 3 of 4 scans are paged" in said


@pytest.mark.parametrize(
    ("words", "bought"),
    [
        (("--strategy", "strided"), ("slice", 2)),
        (("--strategy", "strided", "--axis", "0"), ("slice", 0)),
        (("--strategy", "strided", "--unit", "planes"), ("planes", -1)),
        (("--strategy", "strided", "--unit", "image"), ("image", -1)),
        (("--strategy", "strided", "--placement", "centre"), ("planes", -1)),
        ((), ("planes", -1)),
        (("--strategy", "entropy"), ("planes", -1)),
        (("--unit", "slice"), ("slice", 2)),
        (("--placement", "parallel"), ("slice", 2)),
        (("--placement", "parallel", "--axis", "1"), ("slice", 1)),
    ],
)
def test_unit_and_axis_are_those_that_were_named_or_those_of_strategy_and_scans(capsys, work, words, bought):
    said = done(capsys, "select", work, "--units", "2", *words)
    assert {(c.unit.kind, c.unit.axis) for c in wanted(work)} == {bought}
    assert ("along which 3 of 3 scans are paged" in said) == (bought == ("slice", 2))


def test_images_are_asked_for_whole_and_have_no_axis(capsys, tmp_path):
    done(capsys, "init", tmp_path / "work", "--data", "phantom=shapes,n=6,shape=32x32")
    assert "axis" not in done(capsys, "select", tmp_path / "work", "--strategy", "strided", "--units", "2")
    assert {choice.unit.kind for choice in wanted(tmp_path / "work")} == {"image"}


def test_who_cannot_say_why_says_nothing(capsys, work):
    found = rows(done(capsys, "select", work, "--strategy", "random", "--units", "2"))
    assert [row[0] for row in found] == ["1", "2"]
    assert {len(row) for row in found} == {2}
    assert [choice.reason for choice in wanted(work)] == [None, None]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_nothing_is_cut_off_where_the_console_is_narrow(capsys, work, monkeypatch, width):
    monkeypatch.setattr(console, "width", width)
    found = rows(done(capsys, "select", work, *COLD, "--budget", "2"))
    shown = ["".join(cells).replace(" ", "") for cells in zip(*found, strict=True)]
    told = wanted(work)
    assert shown[1] == "".join(str(c.unit) for c in told).replace(" ", "")
    assert shown[2] == "".join(c.reason.words for c in told).replace(" ", "")


def test_the_help_names_both_words_for_the_budget(capsys, monkeypatch):
    monkeypatch.setattr(console, "width", 220)
    said = done(capsys, "select", "--help")
    assert "--units" in said
    assert "--budget" in said


def test_a_budget_of_nothing_is_refused(capsys, work):
    code, said = frugalseg(capsys, "select", work, "--budget", "0")
    assert code == 2
    assert "units" in said


def test_the_report_shows_every_unit_with_rank_picture_and_reason(capsys, work):
    done(capsys, "select", work, *COLD, "--budget", "3")
    done(capsys, "report", work)
    page = (work / "report.html").read_text(encoding="utf-8")
    for rank, choice in enumerate(wanted(work), 1):
        words = choice.reason.words
        assert f'alt="{choice.unit}: the image"><b>{rank}. {choice.unit}</b><small>{words}</small>' in page


def test_the_pictures_of_the_report_are_those_slices(capsys, tmp_path, monkeypatch):
    choose_by_place(monkeypatch)
    for k in range(3):  # the further back a slice, the brighter
        array = np.broadcast_to(np.arange(8) * 30, (20, 24, 8)).astype(np.float32)
        write_image(tmp_path / "scans" / f"v{k}.nii.gz", Image(array, Geometry.from_affine(array.shape, np.eye(4))))
    work = tmp_path / "work"
    done(capsys, "init", work, "--images", tmp_path / "scans")
    done(capsys, "select", work, *COLD, "--budget", "5")
    done(capsys, "report", work)
    pngs = re.findall(r'src="data:image/png;base64,([^"]*)"', (work / "report.html").read_text(encoding="utf-8"))
    pictures = [np.asarray(Picture.open(BytesIO(b64decode(png))), float) for png in pngs]
    seen = [np.median(picture) / 255 * 7 for picture in pictures]
    assert np.rint(seen).tolist() == [choice.unit.index[0] for choice in wanted(work)]


def test_the_report_pictures_choices_without_reasons_too(capsys, work):
    done(capsys, "select", work, "--strategy", "random", "--units", "2")
    done(capsys, "report", work)
    page = (work / "report.html").read_text(encoding="utf-8")
    assert [f"<b>{rank}. {c.unit}</b></li>" in page for rank, c in enumerate(wanted(work), 1)] == [True, True]
    assert page.count("<img") == 2
