"""The verbs one after the other on a workspace, as a person types them."""

import json
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from running import done, frugalseg

from frugalseg.data.geometry import Geometry
from frugalseg.data.label import SemanticLabel
from frugalseg.data.phantoms import phantom_pool
from frugalseg.data.write import write_image, write_label
from frugalseg.workspace import Workspace

QUICK = ("--set", "fit.steps=6", "--set", "fit.tensorboard=false", "--set", "labelled=1", "--device", "cpu")


@pytest.fixture
def scans(tmp_path):
    """Eight small volumes with complete labels, as files."""
    pool = phantom_pool("anatomy", n=8, shape=(24, 24, 16))
    for case in pool.cases:
        write_image(tmp_path / "scans" / f"{case.id}.nii.gz", case.image())
        write_label(tmp_path / "masks" / f"{case.id}.nii.gz", pool.truth.semantic(case.id), case.geometry)
    return tmp_path / "scans"


def shrink(folder):
    """A smaller network in the plan, as a user would write it."""
    text = (folder / "plan.yaml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in text if not line.startswith(("widths", "strides", "kernels", "network"))]
    (folder / "plan.yaml").write_text("\n".join([*kept, "network: unet", "widths: [4, 8]"]) + "\n")


def test_the_whole_loop(capsys, tmp_path, scans):
    work = tmp_path / "work"
    done(capsys, "init", work, "--images", scans, "--truth", tmp_path / "masks", "--test", "2")
    shrink(work)
    for round_number in range(2):
        said = done(capsys, "select", work, "--strategy", "entropy", "--units", "2")
        assert "2 units to draw" in said
        assert "2 units drawn" in done(capsys, "annotate", work, "--by", "oracle")
        assert "dice" in done(capsys, "train", work, "--method", "mean-teacher", *QUICK)
        workspace = Workspace.open(work)
        assert len(workspace.pool.labelled()) == 2 * (round_number + 1)
        assert workspace.rounds()[-1].is_closed
    done(capsys, "evaluate", work, "-o", tmp_path / "scores.json")
    assert len(json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["cases"]) == 2
    done(capsys, "report", work)
    assert "<html" in (work / "report.html").read_text(encoding="utf-8")
    scan = sorted(scans.iterdir())[0]
    done(capsys, "predict", work, scan, "-o", tmp_path / "out", "--overlay")
    mask, image = nib.load(tmp_path / "out" / scan.name), nib.load(scan)
    assert mask.shape == image.shape
    assert np.allclose(mask.affine, image.affine)
    assert (tmp_path / "out" / scan.name.replace(".nii.gz", "_overlay.png")).read_bytes()[:4] == b"\x89PNG"
    done(capsys, "export", work, tmp_path / "nn", "--to", "nnunet")
    assert len(list((tmp_path / "nn" / "labelsTr").iterdir())) == 4


def test_masks_of_a_folder_are_measured(capsys, tmp_path, scans):
    said = done(capsys, "evaluate", tmp_path / "masks", "--data", f"folder={scans},labels={tmp_path / 'masks'}")
    assert "1.000" in said


def test_masks_of_0_and_255_are_measured(capsys, tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 9:21] = 255
    for folder in ("set/images", "set/labels", "masks"):
        write_label(
            tmp_path / folder / "a.png", SemanticLabel(mask, ("background", "object")), Geometry.plain((32, 32))
        )
    said = done(capsys, "evaluate", tmp_path / "masks", "--data", f"folder={tmp_path / 'set'}")
    assert "1.000" in said


def test_drawn_labels_are_taken_over(capsys, tmp_path, scans):
    said = done(capsys, "init", tmp_path / "work", "--images", scans, "--labels", tmp_path / "masks")
    assert Workspace.open(tmp_path / "work").pool.labelled() == [f"anatomy-000{i}" for i in range(8)]
    assert "drawn on" in said


def test_an_open_round_is_asked_for_again(capsys, tmp_path, scans):
    work = tmp_path / "work"
    done(capsys, "init", work, "--images", scans, "--truth", tmp_path / "masks")
    first = done(capsys, "select", work, "--units", "2")
    again = done(capsys, "select", work, "--units", "2")
    assert again.endswith(first)
    assert "still open" in again
    assert frugalseg(capsys, "select", work, "--strategy", "entropi")[0] == 2


def test_a_part_of_the_pool_can_be_asked_for(capsys, tmp_path):
    done(capsys, "init", tmp_path / "work", "--data", "phantom=shapes,n=6,shape=32x32")
    assert "3 units to draw" in done(capsys, "select", tmp_path / "work", "--units", "0.5")
    code, said = frugalseg(capsys, "select", tmp_path / "work", "--units", "1.5")
    assert (code, "'units' = 1.5: a round buys a whole number of units" in said) == (2, True)


def test_settings_of_the_strategy_are_set_where_it_chooses(capsys, tmp_path):
    work = tmp_path / "work"
    done(capsys, "init", work, "--data", "phantom=shapes,n=6,shape=32x32")
    small = ("--set", "encoder.side=16", "--set", "encoder.widths=[8]", "--set", "encoder.fit.steps=2")
    code, said = frugalseg(capsys, "select", work, "--strategy", "coreclr", "--set", "encoder.sid=16")
    assert (code, "unknown key 'encoder.sid' (did you mean 'side'?)" in said) == (2, True)
    assert "2 units" in done(capsys, "select", work, "--strategy", "coreclr", "--units", "2", *small)
    assert Workspace.open(work).rounds()[0].settings["options"]["encoder"]["fit"] == {"steps": 2}


def test_more_labels_make_another_run(capsys, tmp_path, scans, monkeypatch):
    work = tmp_path / "work"
    monkeypatch.chdir(tmp_path)
    done(capsys, "init", work, "--images", "scans", "--truth", "masks")
    monkeypatch.chdir(scans)  # the workspace knows its scans wherever it is used from
    shrink(work)
    words = ("train", work, "--method", "supervised", *QUICK)
    for n in (1, 2):
        done(capsys, "select", work, "--units", "1")
        done(capsys, "annotate", work)
        done(capsys, *words)
        assert len(Workspace.open(work).runs()) == n
    done(capsys, *words)
    assert len(Workspace.open(work).runs()) == 2


def test_training_before_anything_is_drawn_is_explained(capsys, tmp_path, scans):
    done(capsys, "init", tmp_path / "work", "--images", scans)
    code, said = frugalseg(capsys, "train", tmp_path / "work", *QUICK)
    assert code == 2
    assert "nobody has drawn anything yet" in said


def test_pictures_are_bought_whole(capsys, tmp_path):
    work = tmp_path / "work"
    done(capsys, "init", work, "--data", "phantom=shapes,n=4,shape=32x32")
    assert "shapes-000" in done(capsys, "select", work, "--units", "2")
    done(capsys, "annotate", work, "--set", "style=scribbles")
    assert len(Workspace.open(work).pool.labelled()) == 2


def test_predict_skips_bad_images_when_told_to(capsys, tmp_path, scans):
    work = tmp_path / "work"
    done(capsys, "init", work, "--images", scans, "--truth", tmp_path / "masks")
    shrink(work)
    done(capsys, "select", work, "--units", "1")
    done(capsys, "annotate", work)
    done(capsys, "train", work, "--method", "supervised", *QUICK)
    (scans / "broken.nii.gz").write_bytes(b"\x1f\x8b nothing")
    assert frugalseg(capsys, "predict", work, scans, "-o", tmp_path / "a")[0] == 2
    said = done(capsys, "predict", work, scans, "-o", tmp_path / "b", "--on-error", "skip")
    assert "broken.nii.gz" in said
    assert len(list((tmp_path / "b").iterdir())) == 8
    scan = sorted(scans.iterdir())[1]
    before = scan.read_bytes()
    code, said = frugalseg(capsys, "predict", work, scan, "-o", scans)
    assert (code, scan.read_bytes()) == (2, before)
    assert "written over the image" in said
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / scan.name).write_bytes(before)
    code, said = frugalseg(capsys, "predict", work, scan, tmp_path / "more", "-o", tmp_path / "c")
    assert code == 2
    assert "written over that of" in said


def test_every_command_shows_an_example(capsys):
    verbs = "demo run bench init select annotate train predict evaluate report export doctor"
    for verb in verbs.split():
        assert f"frugalseg {verb}" in done(capsys, verb, "--help")


def test_doctor_names_what_it_finds(capsys):
    said = done(capsys, "doctor")
    assert "torch: 2.13" in said
    assert "torchvision" in said


def test_help_and_import_load_nothing_heavy():
    probe = (
        "import sys, frugalseg, frugalseg.cli\n"
        "heavy = {'torch', 'transformers', 'monai', 'matplotlib', 'sqlalchemy', 'SimpleITK', 'skimage'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
