"""What an experiment file of CoreCLR says about its method becomes options of the strategy, with the same meaning."""

import pytest
import yaml
from published_files import ENCODER, OURS, R5

from frugalseg.campaign.convert import convert
from frugalseg.errors import SettingsError
from frugalseg.settings import merged
from frugalseg.strategies import STRATEGIES


def converted(tmp_path, geometry, params=None, *, model=None, uncertainty=None):
    content = {
        "model": {"model_type": "dmpls", **(model or {})},
        "policy": {"policy_type": "ranked", "rounds": R5},
        **({"data_geometry": {**geometry, "feature_model_params": params or {}}} if geometry else {}),
        **({"model_uncertainty": uncertainty} if uncertainty else {}),
    }
    (tmp_path / "exp.yml").write_text(yaml.safe_dump(content))
    return convert(tmp_path / "exp.yml")


def chosen(found):
    """The strategy, and all of its settings after the options."""
    then = found.settings["then"]
    return then["strategy"], merged(STRATEGIES[then["strategy"]].settings.model_dump(), then.get("options", {}))


def said(found, key):
    return next(line.said for line in found.lines if line.key == f"data_geometry.{key}")


def test_the_papers_own_file_says_encoder_and_distance(tmp_path):
    found = converted(tmp_path, OURS, ENCODER)
    strategy, settings = chosen(found)
    encoder, distance = settings["encoder"], settings["distance"]
    assert (strategy, settings["cover"]) == ("coreclr-mfc", "centre")
    assert [encoder[term] for term in ("twin", "slices", "volumes", "patients")] == [1, 0, 0.35, 0.05]
    assert (encoder["batch"], encoder["temperature"], encoder["side"], encoder["mates_repel"]) == (9, 0.5, 256, True)
    assert (encoder["fit"]["lr"], encoder["fit"]["schedule"], encoder["fit"]["warmup"]) == (3e-4, "constant", 0)
    assert [distance[term] for term in ("patient", "phase", "position", "uncertainty", "beyond")] == [0, 0, 0, 0, 0]
    assert distance["pixel"] > 0
    assert found.settings["start"]["options"] == found.settings["then"]["options"]


def test_an_epoch_is_every_slice_as_the_anchor_of_its_group(tmp_path):
    for params, epochs in (({"num_epochs": 50}, 50), ({"num_epochs": 50, "use_patient": True}, 100)):
        assert chosen(converted(tmp_path, OURS, params))[1]["encoder"]["epochs"] == epochs


@pytest.mark.parametrize(
    ("flags", "mask", "term"),
    [
        (["patient"], [], "patients"),  # as exp_pretrained_acdc_strong_ours
        (["phase"], [], "volumes"),
        (["phase", "patient"], [2], "volumes"),
        (["slice_pos", "phase", "patient"], [2, 3], "slices"),
        (["slice_pos", "phase", "patient"], [3], "volumes"),
        (["slice_pos", "phase", "patient"], [1], "patients"),
    ],
)
def test_a_group_loss_is_that_of_the_farthest_relatives_it_keeps(tmp_path, flags, mask, term):
    params = {"pos_loss1": "nt_xent", "pos_loss1_wt": 0.7, "pos_loss1_mask": mask, **{f"use_{f}": True for f in flags}}
    geometry = {**OURS, "use_labels": False}
    strategy, settings = chosen(converted(tmp_path, geometry, params))
    assert strategy == "coreclr-paper"
    weights = {name: settings["encoder"][name] for name in ("slices", "volumes", "patients")}
    assert weights == {"slices": 0, "volumes": 0, "patients": 0, term: 0.7}


def test_a_loss_that_is_not_given_has_no_weight(tmp_path):
    found = converted(tmp_path, OURS, {"use_phase": True, "pos_loss1_wt": 0.35})
    assert chosen(found)[1]["encoder"]["volumes"] == 0
    assert "pos_loss1 is not given" in said(found, "feature_model_params.pos_loss1_wt")
    found = converted(tmp_path, OURS, {"pos_loss1": "nt_xent"})
    assert "no relative is left" in said(found, "feature_model_params.pos_loss1")


@pytest.mark.parametrize(
    ("changes", "beyond"),
    [({"default_pos_val": 1, "label_wt": 2}, 0.5), ({"default_pos_val": 0}, 0), ({"use_labels": False}, 1)],
)
def test_pixels_beside_strokes_count_as_a_part_of_those_on_them(tmp_path, changes, beyond):
    params = {"fuse_image_data": True}
    assert chosen(converted(tmp_path, {**OURS, **changes}, params))[1]["distance"]["beyond"] == beyond


def test_pixels_beside_strokes_cannot_count_more(tmp_path):
    with pytest.raises(SettingsError, match=r"'data_geometry\.default_pos_val' = 3: pixels beside strokes count"):
        converted(tmp_path, {**OURS, "default_pos_val": 3})


def test_a_weight_says_that_there_is_a_term_and_not_how_large(tmp_path):
    geometry = {**OURS, "patient_wt": 12, "slice_rel_pos_wt": 3, "use_uncertainty": True, "uncertainty_wt": 5}
    found = converted(tmp_path, geometry)
    distance, own = chosen(found)[1]["distance"], STRATEGIES["coreclr-mfc"].settings.distance
    assert (distance["patient"], distance["position"], distance["phase"]) == (own.patient, own.position, 0)
    assert (distance["uncertainty"], distance["pixel"]) == (own.uncertainty, 0)  # no pixels are fused
    assert "beside raw distances" in said(found, "patient_wt")
    nothing = chosen(converted(tmp_path, {**geometry, "extra_feature_wt": 0}))[1]["distance"]
    assert (nothing["patient"], nothing["position"]) == (0, 0)


def test_features_of_imagenet_are_covered_by_k_centre(tmp_path):
    found = converted(tmp_path, {**OURS, "contrastive": False, "use_labels": False})
    assert chosen(found)[0] == "coreclr-frozen"
    assert chosen(found)[1]["cover"] == "centre"
    assert "features of a generalist" in said(found, "data_geometry_type")
    fused = chosen(converted(tmp_path, {**OURS, "contrastive": False}, {"fuse_image_data": True, "lr": 1}))[1]
    assert (fused["distance"]["patient"], fused["distance"]["beyond"]) == (0, 0)


def test_pictures_alone_have_no_terms_of_other_things(tmp_path):
    found = converted(tmp_path, {**OURS, "feature_model": False, "contrastive": False}, {"lr": 0.1})
    assert chosen(found) == ("coreset-pixels", {"cap": None})
    assert "no such term in its distance" in said(found, "use_labels")
    assert "nothing is learnt by contrast" in said(found, "feature_model_params.lr")


def test_graph_autoencoder_and_clusters_have_their_numbers(tmp_path):
    gcn = {"data_geometry_type": "coregcn", "hidden_units": 64, "lambda_loss": 2, "num_epochs_gcn": 50, "lr_gcn": 0.1}
    settings = chosen(converted(tmp_path, gcn))[1]
    assert (settings["hidden"], settings["unlabelled"], settings["steps"], settings["lr"]) == (64, 2, 50, 0.1)
    vaal = {"data_geometry_type": "vaal", "latent_dim": 8, "patch_size": [64, 64]}
    (tmp_path / "exp.yml").write_text(
        yaml.safe_dump(
            {
                "model": {"model_type": "dmpls"},
                "policy": {"policy_type": "ranked", "rounds": [[0.01, 0, "random", True], *R5]},
                "data_geometry": vaal,
            }
        )
    )
    found = convert(tmp_path / "exp.yml")
    settings = chosen(found)[1]
    assert (settings["latent"], settings["side"], settings["batch"]) == (8, 64, 256)
    assert settings["fit"]["steps"] == round(50 * 1454 / 128)
    assert "options" not in found.settings["start"]


def test_typiclust_learns_by_nt_xent_alone(tmp_path):
    geometry = {"data_geometry_type": "typiclust", "feature_model": True, "contrastive": True}
    geometry |= {"k_nn": 10, "min_cluster_size": 3, "max_num_clusters": 40}
    strategy, settings = chosen(converted(tmp_path, geometry, {"num_epochs": 50}))
    assert (strategy, settings["neighbours"], settings["smallest"], settings["most_clusters"]) == (
        "typiclust",
        10,
        3,
        40,
    )
    encoder = settings["encoder"]
    assert [encoder[term] for term in ("twin", "slices", "volumes", "patients")] == [1, 0, 0, 0]
    assert encoder["epochs"] == 50


def model_lines(found):
    return {line.key: line.said for line in found.lines if line.key.startswith("model.")}


def test_bald_compares_draws_of_dropout_and_not_networks(tmp_path):
    model = {"model_type": "db_dmpls", "db_score_func": "bald_score", "ensemble_size": 5, "T": 40}
    uncertainty = {"model_uncertainty_type": "ensemble", "score_func": "mean_score"}
    found = converted(tmp_path, None, model=model, uncertainty=uncertainty)
    assert (found.settings["then"]["strategy"], found.settings["members"]) == ("bald", 1)
    assert found.settings["plan"]["dropout"] > 0
    words = model_lines(found)
    assert "each compared with itself" in words["model.ensemble_size"]
    assert "ten draws of the dropout of one network; published: 40" in words["model.T"]
    entropy = converted(tmp_path, None, model={**model, "db_score_func": "entropy_score"}, uncertainty=uncertainty)
    assert entropy.settings["members"] == 5
    assert "without dropout; published: 40 with it" in model_lines(entropy)["model.T"]


def test_a_published_crop_becomes_spacing_and_patch(tmp_path):
    found = converted(tmp_path, OURS, model={"dataset": "MSCMR", "patch_size": [128, 128]})
    plan = found.settings["plan"]
    assert (plan["spacing"], plan["patch"], "side" in plan) == ([2.264, 2.264], [128, 128], False)  # 290 mm in 128
    assert "the middle 290 mm of a slice" in model_lines(found)["model.patch_size"]


def test_members_are_trained_only_where_they_have_a_say(tmp_path):
    found = converted(tmp_path, OURS, model={"ensemble_size": 5})
    assert found.settings["members"] == 1
    assert "the choice asks no network" in model_lines(found)["model.ensemble_size"]
    asked = converted(tmp_path, {**OURS, "use_uncertainty": True, "uncertainty_wt": 1}, model={"ensemble_size": 5})
    assert asked.settings["members"] == 5


@pytest.mark.parametrize(("amp", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_half_precision_is_kept(tmp_path, amp, precision):
    found = converted(tmp_path, OURS, model={"model_type": "lvm_med", "amp": amp})
    assert found.settings["train"]["fit"]["precision"] == precision


def test_a_wrong_value_names_the_file_and_the_option(tmp_path):
    with pytest.raises(SettingsError, match=r"exp\.yml: 'start\.options' = .*'encoder\.temperature' = -1: Input"):
        converted(tmp_path, OURS, {"temperature": -1})
