"""Bad input through the command line: exit code 2, one sentence with file and remedy, nothing half-written."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Picture
from running import frugalseg

from frugalseg.workspace import Workspace

SHAPE = (20, 22, 18)


@pytest.fixture
def scans(tmp_path):
    """Six volumes with labels, two of each patient."""
    rng = np.random.default_rng(0)
    rows = ["id,group"]
    for i in range(6):
        image = rng.normal(100, 20, SHAPE).astype(np.float32)
        label = np.zeros(SHAPE, np.uint8)
        label[6:14, 6:14, 6:12] = 1
        image[label > 0] += 80
        save(tmp_path / "scans" / "images" / f"s{i}.nii.gz", image)
        save(tmp_path / "scans" / "labels" / f"s{i}.nii.gz", label)
        rows.append(f"s{i},p{i // 2}")
    (tmp_path / "scans" / "index.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "scans"


def save(path, array, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


def refused(capsys, tmp_path, *words):
    """What `frugalseg init` says to data it does not take; nothing may be left of the workspace."""
    code, said = frugalseg(capsys, "init", tmp_path / "work", "--data", f"folder={tmp_path / 'scans'}", *words)
    assert code == 2
    assert not (tmp_path / "work").exists()
    assert [line for line in said.splitlines() if line.startswith("frugalseg: ")] != []
    return said


def test_good_data_are_described(capsys, tmp_path, scans):
    code, said = frugalseg(capsys, "init", tmp_path / "work", "--data", f"folder={scans}", "--test", "2")
    assert code == 0
    assert "background, object" in said
    assert "(20, 22, 18)" in said
    assert "4 cases to learn from, 2 to measure on" in said
    assert (tmp_path / "work" / "plan.yaml").read_text(encoding="utf-8").startswith("ndim: 3")


def test_label_of_another_shape(capsys, tmp_path, scans):
    save(scans / "labels" / "s2.nii.gz", np.zeros((20, 22, 17), np.uint8))
    said = refused(capsys, tmp_path)
    assert "s2" in said
    assert "(20, 22, 17)" in said


def test_label_with_another_affine(capsys, tmp_path, scans):
    save(scans / "labels" / "s3.nii.gz", np.ones(SHAPE, np.uint8), np.diag([1, 1, 2, 1]))
    said = refused(capsys, tmp_path)
    assert "s3" in said
    assert "affine" in said


def test_label_values_without_a_meaning(capsys, tmp_path, scans):
    label = np.zeros(SHAPE, np.uint8)
    label[5] = 7
    save(scans / "labels" / "s1.nii.gz", label)
    code, said = frugalseg(capsys, "init", tmp_path / "work", "--data", f"folder={scans},names=organ")
    assert code == 2
    assert "7" in said
    assert not (tmp_path / "work").exists()


def test_nan_in_an_image(capsys, tmp_path, scans):
    image = np.zeros(SHAPE, np.float32)
    image[0, 0, :3] = np.nan
    save(scans / "images" / "s0.nii.gz", image)
    assert "3 of 7920 voxels are NaN" in refused(capsys, tmp_path)


def test_constant_image(capsys, tmp_path, scans):
    save(scans / "images" / "s4.nii.gz", np.full(SHAPE, 7, np.float32))
    said = refused(capsys, tmp_path)
    assert "s4" in said
    assert "same value" in said


def test_truncated_file(capsys, tmp_path, scans):
    file = scans / "images" / "s5.nii.gz"
    file.write_bytes(file.read_bytes()[:4000])
    said = refused(capsys, tmp_path)
    assert "s5.nii.gz" in said
    assert "copy it again" in said


def test_truncated_header(capsys, tmp_path, scans):
    (scans / "images" / "s5.nii.gz").write_bytes(gzip.compress(b"\x5c\x01\x00\x00 too short"))
    assert "s5.nii.gz" in refused(capsys, tmp_path)


def test_empty_folder(capsys, tmp_path):
    (tmp_path / "scans").mkdir()
    assert "no image" in refused(capsys, tmp_path)


def test_absent_folder(capsys, tmp_path):
    assert "no such folder" in refused(capsys, tmp_path)


def test_two_images_of_one_name(capsys, tmp_path, scans):
    Picture.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(scans / "images" / "s0.png")
    assert "s0" in refused(capsys, tmp_path)


def test_a_split_file_that_cuts_a_patient(capsys, tmp_path, scans):
    parts = {"train": ["s0", "s2", "s3"], "val": [], "test": ["s1", "s4", "s5"]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    (tmp_path / "run.yaml").write_text(f"name: x\ndata: folder={scans}\nsplit: {{file: {tmp_path / 'split.json'}}}\n")
    code, said = frugalseg(capsys, "run", tmp_path / "run.yaml", "-o", tmp_path / "out")
    assert code == 2
    assert "p0" in said
    assert not (tmp_path / "out").exists()


def test_bad_cases_are_left_out_when_told_to(capsys, tmp_path, scans):
    save(scans / "images" / "s4.nii.gz", np.full(SHAPE, 7, np.float32))
    words = ("init", tmp_path / "work", "--data", f"folder={scans}", "--on-error", "skip")
    code, said = frugalseg(capsys, *words)
    assert code == 0
    assert "same value" in said
    assert "5 (1 left out)" in said


def test_unreadable_headers_are_left_out_when_told_to(capsys, tmp_path, scans):
    (scans / "images" / "s5.nii.gz").write_bytes(gzip.compress(b"\x5c\x01\x00\x00 too short"))
    words = ("init", tmp_path / "work", "--data", f"folder={scans}", "--on-error", "skip")
    code, said = frugalseg(capsys, *words)
    assert code == 0
    assert "s5.nii.gz" in said
    assert "5 (1 left out)" in said
    assert len(Workspace.open(tmp_path / "work").pool) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--images", "a", "--data", "folder=b"), "either --images"),
        (("--images", "a", "--labels", "b", "--truth", "c"), "not both"),
        (("--data", "foldr=b"), "did you mean 'folder'"),
        (("--data", "folder"), "write LAYOUT=DIR"),
        (("--data", "phantom=anatomy,m=3"), "unknown key 'm'"),
        (("--data", "folder=$NOT_SET_ANYWHERE/x"), "NOT_SET_ANYWHERE is not set"),
        (("--data", "phantom=anatomy,n=4", "--on-error", "ignore"), "unknown --on-error 'ignore'"),
    ],
)
def test_wrong_words(capsys, tmp_path, words, message):
    code, said = frugalseg(capsys, "init", tmp_path / "work", *words)
    assert code == 2
    assert message in said
    assert not (tmp_path / "work").exists()


def test_a_folder_that_is_no_workspace(capsys, tmp_path):
    for verb in (("select",), ("annotate",), ("train",), ("report",)):
        code, said = frugalseg(capsys, *verb, tmp_path)
        assert code == 2
        assert str(tmp_path) in said


def test_campaign_files_with_unknown_keys_name_the_nearest(capsys, tmp_path):
    (tmp_path / "run.yaml").write_text("name: x\ndata: phantom=anatomy\nspilt: {test: 2}\n")
    code, said = frugalseg(capsys, "run", tmp_path / "run.yaml", "-o", tmp_path / "out")
    assert code == 2
    assert "unknown key 'spilt' (did you mean 'split'?)" in said


def test_settings_of_an_arm_are_checked_before_anything_runs(capsys, tmp_path):
    (tmp_path / "run.yaml").write_text("name: x\ndata: phantom=anatomy\narms: {a: {train.fit.stepps: 3}}\n")
    code, said = frugalseg(capsys, "run", tmp_path / "run.yaml", "-o", tmp_path / "out")
    assert code == 2
    assert "did you mean 'steps'" in said


def test_predicting_with_something_that_is_no_model(capsys, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"not a model")
    code, said = frugalseg(capsys, "predict", tmp_path / "m.safetensors", tmp_path, "-o", tmp_path / "masks")
    assert code == 2
    assert "m.safetensors" in said
    assert not (tmp_path / "masks").exists()


def test_images_that_no_one_network_can_do_leave_no_workspace(capsys, tmp_path):
    for name, channels in (("grey", 1), ("colour", 3)):
        file = tmp_path / "scans" / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 255, (32, 32, channels), dtype=np.uint8)
        Picture.fromarray(pixels.squeeze()).save(file)
    assert "channels" in refused(capsys, tmp_path)


def test_ctrl_c_says_how_to_go_on(capsys, monkeypatch):
    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setattr("frugalseg.cli.doctor.examine", stopped)
    code, said = frugalseg(capsys, "doctor")
    assert code == 130
    assert "the same command goes on" in said
