from itertools import islice

import numpy as np
import pytest
from campaign_worlds import simulation, tiny

from frugalseg.annotator import Oracle, OracleSettings
from frugalseg.campaign.outcome import curve
from frugalseg.campaign.rounds import choose, draw, latest_models
from frugalseg.campaign.settings import Purchase, check_opinions
from frugalseg.errors import SettingsError
from frugalseg.strategies.viewing import DRAWS, view_of

VOTES = {"arms": {"voting": {}}, "compare": [], "seeds": [0], "members": 2, "then.strategy": "variance-ratio"}


@pytest.fixture(scope="module")
def voted(tmp_path_factory):
    """One arm in which two specialists vote, run to its end."""
    campaign = simulation(tmp_path_factory.mktemp("votes"), **VOTES)
    for _ in campaign.run():
        pass
    return campaign


def test_members_vote_where_something_is_chosen_and_one_is_measured(voted):
    workspace = voted.workspace("voting", 0)
    assert [run.round for run in workspace.runs()] == [0, 0, 1]
    assert len({run.seed for run in workspace.runs(0)}) == 2
    assert workspace.runs(0)[-1].seed == 0
    assert [point.round for point in curve(workspace, arm="voting", seed=0)] == [0, 1]


def test_a_campaign_that_is_stopped_anywhere_chooses_the_same(voted, tmp_path):
    expected = [voted.workspace("voting", 0).selected(n) for n in (0, 1)]
    for n_records in (2, 5, 7, 9):  # in the middle of drawing, of training, of measuring
        list(islice(simulation(tmp_path, **VOTES).run(), n_records))
    again = simulation(tmp_path, **VOTES)
    for _ in again.run():
        pass
    assert [again.workspace("voting", 0).selected(n) for n in (0, 1)] == expected


def test_several_models_predict_with_their_mean(voted):
    workspace = voted.workspace("voting", 0)
    (model,) = latest_models(workspace)  # nothing is chosen behind the last round, so there it is one
    other = model.load(workspace.folder / workspace.runs(0)[0].model)
    pool, case = voted.pool, voted.pool.cases[0]
    view = view_of(pool, [other, model], unit="slice")
    members = [*view.members(case.id)]
    np.testing.assert_array_equal(members, [m.probabilities(case.image()) for m in (other, model)])
    np.testing.assert_allclose(view.probabilities(case.id), np.mean(members, axis=0), atol=1e-6)
    np.testing.assert_array_equal(view.features(case.id), model.features(case.image()))
    assert view_of(pool, [model], unit="slice").members is None
    assert view_of(pool, [], unit="slice").probabilities is None


def test_the_members_of_one_model_with_dropout_are_its_draws(voted):
    from frugalseg.specialist.model import Model
    from frugalseg.specialist.plan import build_network

    plan = voted.plan.model_copy(update={"dropout": 0.3})
    view = view_of(voted.pool, [Model(plan, build_network(plan, seed=0))], unit="image")
    members = [*view.members(voted.pool.cases[0].id)]
    assert len(members) == DRAWS
    assert np.std(members, axis=0).max() > 1e-3


def test_slices_that_got_strokes_are_not_bought_again(tmp_path):
    campaign = simulation(tmp_path, **VOTES)
    workspace = campaign.workspace("voting", 0)
    oracle = Oracle(campaign.pool.truth, OracleSettings(style="scribbles"))
    bought = []
    for number in range(2):
        units = choose(workspace, Purchase(units=20, unit="slice"), seed=0)
        bought += units
        assert len([*draw(workspace, oracle, units)]) == 20
        workspace.close_round(number)
    assert len(set(bought)) == 40


def test_a_strategy_that_lacks_opinions_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(SettingsError, match="'bald' compares several predictions"):
        simulation(tmp_path, **{**VOTES, "members": 1, "then.strategy": "bald"})
    with_dropout = tiny(**{**VOTES, "members": 1, "then.strategy": "bald"})
    plan = simulation(tmp_path, **VOTES).plan
    check_opinions(with_dropout, plan.model_copy(update={"dropout": 0.1}))


def test_a_part_of_the_units_is_bought_and_rounds_may_differ(tmp_path):
    changes = {"arms": {"a": {}}, "compare": [], "seeds": [0], "advice": None, "rounds": 2}
    units = {"start": {"units": 0.1, "unit": "slice"}, "then": {"units": [3, 0.05], "unit": "slice"}}
    campaign = simulation(tmp_path, **changes, **units)
    for _ in campaign.run():
        pass
    workspace = campaign.workspace("a", 0)  # six cases of 20 slices to learn from
    assert [len(workspace.selected(k)) for k in range(3)] == [12, 3, 6]


ENCODER = {"side": 16, "widths": [8], "batch": 8, "fit": {"steps": 2}}
LEARNT = {
    "arms": {"a": {}, "b": {"start.options.encoder.temperature": 0.5}},
    "compare": [],
    "seeds": [0],
    "start": {"strategy": "coreclr", "options": {"encoder": ENCODER}, "units": 2, "unit": "slice"},
    "rounds": 0,
}


def test_what_is_kept_of_a_strategy_depends_on_its_options(tmp_path):
    campaign = simulation(tmp_path, **LEARNT)
    for _ in campaign.run():
        pass
    assert len(list(campaign.cache.glob("embeddings/contrastive-*/features.npy"))) == 2
    (turn,) = campaign.workspace("b", 0).rounds()
    assert turn.settings["options"]["encoder"] == {**ENCODER, "temperature": 0.5}


def test_other_options_are_another_campaign(tmp_path):
    simulation(tmp_path, **LEARNT).workspace("a", 0)
    other = simulation(tmp_path, **{**LEARNT, "start.options.encoder.temperature": 0.5})
    with pytest.raises(SettingsError, match="was made with other settings of start"):
        other.workspace("a", 0)
