import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from specialist_world import image_of, tiny_plan

from frugalseg.errors import DataError
from frugalseg.specialist import NETWORKS
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import Plan, build_network

SLIM = {"unet": (8, 8, 16), "vnet": (4, 8, 8, 8, 8)}


def model_of(name="unet-tiny", **changes):
    plan = tiny_plan(2, network=name, widths=SLIM.get(name, (8, 8)), **changes)
    return Model(plan, build_network(plan, seed=3), {"method": "supervised", "steps": "7"})


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_loaded_model_predicts_the_same_bits(name, tmp_path):
    model = model_of(name)
    model.network.train()(torch.randn(2, 1, 32, 32))
    model.save(tmp_path / "model.safetensors")
    loaded, image = Model.load(tmp_path / "model.safetensors"), image_of((20, 24))
    np.testing.assert_array_equal(loaded.probabilities(image), model.probabilities(image))
    assert (loaded.info, loaded.plan) == (model.info, model.plan.completed())


def test_the_file_is_safetensors_with_readable_json(tmp_path):
    model_of().save(tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", framework="np") as file:
        about = json.loads(file.metadata()["frugalseg"])
    assert about["format"] == 1
    assert about["plan"]["classes"] == ["background", "object"]
    assert about["info"] == {"method": "supervised", "steps": "7"}


def test_same_model_same_bytes_whatever_the_memory_format(tmp_path):
    model = model_of()
    model.save(tmp_path / "a")
    model.network.to(memory_format=torch.channels_last)
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    model_of().save(tmp_path / "m")
    old = (tmp_path / "m").read_bytes()

    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("frugalseg.specialist.model.save_file", full)
    with pytest.raises(OSError, match="disk full"):
        model_of(dropout=0.2).save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_absent_foreign_and_cut_files_are_named(tmp_path):
    model_of().save(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    (tmp_path / "text").write_text("not a model")
    (tmp_path / "empty").write_bytes(b"")
    save_file({"w": torch.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(DataError, match="absent: there is no such model file"):
        Model.load(tmp_path / "absent")
    for name in ("cut", "text", "empty", "foreign"):
        with pytest.raises(DataError, match=f"{name}: not a model of this program, or cut off"):
            Model.load(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 9}, "model format 9"), ({"plan": {"ndim": 4}}, "do not fit"), ({"plan": None}, "do not fit")],
)
def test_other_formats_and_broken_plans_are_named(tmp_path, change, message):
    about = {"format": 1, "plan": tiny_plan().model_dump(mode="json"), "info": {}, **change}
    save_file({"w": torch.zeros(2)}, tmp_path / "m", metadata={"frugalseg": json.dumps(about)})
    with pytest.raises(DataError, match=f"m: .*{message}"):
        Model.load(tmp_path / "m")


def test_weights_of_another_plan_are_refused(tmp_path):
    plan = tiny_plan(2, widths=(8, 8))
    other = Plan.model_validate(plan.model_dump() | {"widths": (8, 12)})
    Model(other, build_network(plan, seed=0)).save(tmp_path / "m")
    with pytest.raises(DataError, match="plan and weights do not fit together"):
        Model.load(tmp_path / "m")
