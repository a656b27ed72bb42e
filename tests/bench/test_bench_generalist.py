"""The bench of generalists, with one that is as good as it is told to be."""

import numpy as np
import pytest
from object_worlds import GreyGeneralist

from frugalseg.bench import generalist as bench
from frugalseg.bench.generalist import GENERALIST, GeneralistSettings
from frugalseg.bench.outcome import write_outcome
from frugalseg.bench.run import BenchRun, Wanted
from frugalseg.errors import SettingsError
from frugalseg.learn.hardware import Hardware
from frugalseg.report.results import read_results

KINDS = {"classic": ("points", "boxes"), "lite-medsam": ("boxes",), "lite-medsam-clicks": ("points", "boxes", "masks")}


@pytest.fixture(autouse=True)
def grey(monkeypatch):
    """Every arm is the grey generalist with what that arm was trained on; built ones are kept."""
    built = []

    def build(arm, settings):
        built.append(GreyGeneralist(*KINDS[arm.removesuffix("+zoom")], loss=4 if arm == "classic" else 1))
        return built[-1]

    monkeypatch.setattr(bench, "build", build)
    return built


def run(out, *only, **changes):
    """The bench on phantoms, gone through."""
    wanted = Wanted(preset="smoke", data="phantom=shapes-instances,n=3,shape=64x64", only=only)
    found = BenchRun.open(GENERALIST, out, wanted=wanted, changes=changes, hardware=Hardware(device="cpu"))
    for _ in found.run():
        pass
    return found


def test_a_generalist_of_boxes_has_no_click_metrics_and_takes_part_all_the_same(tmp_path):
    found = write_outcome(run(tmp_path, "lite-medsam", "lite-medsam-clicks"), command="x")
    boxes, clicks = found.arms["lite-medsam"], found.arms["lite-medsam-clicks"]
    assert {"iou_1", "iou_3", "noc80"} <= set(clicks)
    assert not {"iou_1", "iou_3", "noc80"} & set(boxes)
    assert clicks["iou_box"] == boxes["iou_box"]
    assert [(p.a, p.b, p.metric) for p in found.paired] == [("lite-medsam-clicks", "lite-medsam", "iou_box")]
    assert read_results(tmp_path / "results.json") == found


def test_a_zoomed_arm_asks_through_windows(tmp_path, grey):
    run(tmp_path, "lite-medsam", "lite-medsam+zoom")
    windows = [{view.window for view in generalist.views} for generalist in grey if generalist.views]
    assert windows[0] == {None}
    assert any(window is not None for window in windows[1])


def test_pictures_show_the_worst_objects_first_and_then_a_draw(tmp_path):
    panels = run(tmp_path, "classic", overlays=4, worst=2).measured("classic", 0).pictures
    assert [panel.title.split(":")[0] for panel in panels[:2]] == ["worst 1", "worst 2"]
    assert len(panels) == 4
    assert not any(panel.title.startswith("worst") for panel in panels[2:])


def test_the_same_seed_finds_the_same(tmp_path):
    once, again = (run(tmp_path / name, "classic").measured("classic", 0).metrics for name in "ab")
    assert {k: v for k, v in once.items() if not k.endswith(("_ms", "seconds"))}.items() <= again.items()


def test_another_adapter_is_another_result(tmp_path, monkeypatch):
    run(tmp_path, "lite-medsam-clicks")
    monkeypatch.setattr(bench, "build", lambda arm, settings: GreyGeneralist("points", loss=2))
    with pytest.raises(SettingsError, match="was made with other settings of weights"):
        run(tmp_path, "lite-medsam-clicks")


def test_weights_of_one_arm_do_not_concern_the_others():
    plain, more = GeneralistSettings(), GeneralistSettings(weights={"sam-vit-b": "sam.pth"})
    assert bench.depends("classic", plain) == bench.depends("classic", more)
    assert bench.arms_of(more)[-2:] == ("sam-vit-b", "sam-vit-b+zoom")


def test_arms_are_named_once():
    arms = bench.arms_of(GeneralistSettings(weights={"lite-medsam": "other.pth"}))
    assert len(set(arms)) == len(arms) == 7


def test_every_preset_is_made_of_settings():
    for preset in GENERALIST.presets.values():
        settings = GeneralistSettings(**preset.settings)
        assert set(preset.arms) <= set(bench.arms_of(settings))


def test_metrics_of_several_seeds_are_kept_apart(tmp_path):
    wanted = Wanted(preset="smoke", data="phantom=shapes-instances,n=3,shape=64x64", only=("classic",), seeds=2)
    found = BenchRun.open(GENERALIST, tmp_path, wanted=wanted, changes={}, hardware=Hardware(device="cpu"))
    for _ in found.run():
        pass
    values = write_outcome(found, command="x").arms["classic"]["iou_box"].per_seed
    assert len(set(np.round(values, 9))) == 2
