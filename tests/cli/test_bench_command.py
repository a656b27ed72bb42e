"""`frugalseg bench` as a person types it."""

import json

import pytest
from running import frugalseg

from frugalseg.report.results import read_results

SMALL = ("--preset", "smoke", "--only", "classic", "--device", "cpu")


def test_a_smoke_bench_on_phantoms(capsys, tmp_path):
    code, said = frugalseg(capsys, "bench", "generalist", *SMALL, "-o", tmp_path / "out")
    assert code == 0, said
    assert "2 cases of bubbles; arms classic; seeds [0]" in said
    found = read_results(tmp_path / "out" / "results.json")
    assert (found.bench, found.preset, found.seeds) == ("generalist", "smoke", (0,))
    assert found.command.startswith("frugalseg bench generalist --preset smoke --only classic")
    keys = set(found.arms["classic"])
    assert keys >= {"iou_box", "iou_1", "iou_3", "noc80", "noc90", "embed_ms", "decode_ms", "seconds", "objects"}
    assert keys >= {"iou_box_median", "iou_box_worst10", "iou_3_median", "iou_3_worst10"}
    assert "iou_5" not in keys  # users make three clicks
    assert found.arms["classic"]["iou_box"].mean > 0.2
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "pictures" / "classic.png").is_file()


def test_the_same_command_goes_on_and_finds_the_same(capsys, tmp_path):
    def scores():
        arm = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["arms"]["classic"]
        return {key: value["per_seed"][0] for key, value in arm.items() if key.startswith(("iou", "noc", "score"))}

    frugalseg(capsys, "bench", "generalist", *SMALL, "-o", tmp_path)
    first, written = scores(), (tmp_path / "classic" / "seed-0" / "finished.json").stat().st_mtime_ns
    assert frugalseg(capsys, "bench", "generalist", *SMALL, "-o", tmp_path)[0] == 0
    assert (tmp_path / "classic" / "seed-0" / "finished.json").stat().st_mtime_ns == written
    (tmp_path / "classic" / "seed-0" / "finished.json").unlink()
    frugalseg(capsys, "bench", "generalist", *SMALL, "-o", tmp_path)
    assert scores() == first


def test_classes_of_volumes_are_told_apart(capsys, tmp_path):
    words = ("--data", "phantom=anatomy,n=2,shape=24x24x16", "--set", "axis=2", "--set", "per_class=2")
    code, said = frugalseg(capsys, "bench", "generalist", *SMALL, *words, "--set", "min_pixels=4", "-o", tmp_path)
    assert code == 0, said
    keys = read_results(tmp_path / "results.json").arms["classic"].keys()
    assert {"iou_box_head", "iou_3_head", "iou_box_tail"} <= keys


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("genralist",), "unknown bench 'genralist' (did you mean 'generalist'?)"),
        (("generalist", "--only", "clasic"), "unknown arm of generalist 'clasic' (did you mean 'classic'?)"),
        (("generalist", "--set", "max_click=3"), "unknown key 'max_click' (did you mean 'max_clicks'?)"),
        (("generalist", "--preset", "tiny"), "'preset' = 'tiny'"),
        (("generalist", "--seeds", "0"), "'seeds' = 0"),
        (("generalist", *SMALL, "--data", "phantom=bubbles,n=2", "--set", "min_pixels=999999"), "lower min_pixels"),
        (("generalist", "--set", "weights.sam-vit-b=nowhere.pth", "--only", "sam-vit-b"), "nowhere.pth"),
        (("generalist", *SMALL[:4], "--device", "gpu"), "measures on the CPU"),
    ],
)
def test_wrong_words_are_explained_in_one_sentence(capsys, tmp_path, words, message):
    code, said = frugalseg(capsys, "bench", *words, "-o", tmp_path / "out")
    assert code == 2
    assert message in said
    assert not (tmp_path / "out" / "results.json").exists()
