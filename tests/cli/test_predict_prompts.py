"""`frugalseg predict --prompts`: masks from clicks and boxes."""

import json

import numpy as np
import pytest
from PIL import Image as Picture
from running import frugalseg

from frugalseg.data.formats import read_values

CLASSIC = ("--generalist", "classic", "--zoom", "off")


@pytest.fixture
def cells(tmp_path):
    """A bright and a fainter disc on noise, as a file."""
    rows, columns = np.mgrid[:60, :80]
    image = np.random.default_rng(0).normal(60, 4, (60, 80))
    image[(rows - 20) ** 2 + (columns - 20) ** 2 < 100] += 120
    image[(rows - 38) ** 2 + (columns - 58) ** 2 < 144] += 80
    Picture.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "cells.png")
    return tmp_path / "cells.png"


def asked(tmp_path, *prompts):
    (tmp_path / "prompts.json").write_text(json.dumps(prompts))
    return ("--prompts", tmp_path / "prompts.json")


def test_object_k_is_the_answer_to_prompt_k(capsys, tmp_path, cells):
    words = asked(tmp_path, {"box": [8, 8, 32, 32]}, {"box": [24, 44, 52, 72]})
    code, said = frugalseg(capsys, "predict", *words, *CLASSIC, cells, "-o", tmp_path / "out", "--overlay")
    assert code == 0, said
    ids, _ = read_values(tmp_path / "out" / "cells.png")
    assert set(np.unique(ids)) == {0, 1, 2}
    assert (ids[20, 20], ids[38, 58], ids[2, 2]) == (1, 2, 0)
    assert (tmp_path / "out" / "cells_overlay.png").read_bytes()[:4] == b"\x89PNG"


def test_later_prompts_lie_on_top(capsys, tmp_path, cells):
    words = asked(tmp_path, {"box": [8, 8, 32, 32]}, {"box": [9, 9, 31, 31]})
    assert frugalseg(capsys, "predict", *words, *CLASSIC, cells, "-o", tmp_path / "out")[0] == 0
    ids, _ = read_values(tmp_path / "out" / "cells.png")
    assert ids[20, 20] == 2


def test_clicks_are_answered(capsys, tmp_path, cells):
    words = asked(tmp_path, {"points": [[20, 20], [50, 10]], "labels": [1, 0]})
    assert frugalseg(capsys, "predict", *words, *CLASSIC, cells, "-o", tmp_path / "out")[0] == 0
    ids, _ = read_values(tmp_path / "out" / "cells.png")
    assert (ids[20, 20], ids[50, 10]) == (1, 0)


def test_a_volume_is_refused_or_left_out(capsys, tmp_path, cells):
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.arange(6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8), np.eye(4)), tmp_path / "v.nii.gz")
    words = (*asked(tmp_path, {"box": [8, 8, 32, 32]}), *CLASSIC, tmp_path / "v.nii.gz", cells, "-o", tmp_path / "out")
    code, said = frugalseg(capsys, "predict", *words)
    assert code == 2
    assert "v.nii.gz: prompts name pixels of 2D images" in said
    code, said = frugalseg(capsys, "predict", *words, "--on-error", "skip")
    assert code == 0
    assert "1 images were left out" in said
    assert (tmp_path / "out" / "cells.png").is_file()


@pytest.mark.parametrize(
    ("prompts", "words", "message"),
    [
        ([{"boxes": [1, 2, 3, 4]}], CLASSIC, "prompt 0: must hold some of 'points', 'labels', 'box'"),
        ([], CLASSIC, "must hold a list of prompts"),
        ([{"box": [1, 2, 3, 4]}], ("--generalist", "clasic"), "unknown generalist 'clasic' (did you mean 'classic'?)"),
        ([{"box": [1, 2, 3, 4]}], ("--generalist", "classic", "--zoom", "in"), "unknown --zoom 'in'"),
    ],
)
def test_wrong_words_are_explained_in_one_sentence(capsys, tmp_path, cells, prompts, words, message):
    code, said = frugalseg(capsys, "predict", *asked(tmp_path, *prompts), *words, cells, "-o", tmp_path / "out")
    assert code == 2
    assert message in said
    assert not (tmp_path / "out").exists()


def test_a_model_and_images_are_needed_where_there_are_no_prompts(capsys, tmp_path, cells):
    code, said = frugalseg(capsys, "predict", cells, "-o", tmp_path / "out")
    assert code == 2
    assert "say which model and which images" in said
