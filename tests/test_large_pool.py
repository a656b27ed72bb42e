"""Memory does not grow with the pool."""

import subprocess
import sys

import pytest

PROBE = """
import resource, torch
import frugalseg as fs
from frugalseg.data.pool import PoolView
from frugalseg.specialist.plan import build_network, make_plan
from frugalseg.strategies import choices

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

torch.set_num_threads(1)
pool = fs.phantom_pool("anatomy", n=2000, shape=(16, 16, 16))
plan = make_plan(pool, network="unet", patch=(16, 16, 16)).model_copy(
    update={"widths": (4, 8), "strides": (), "kernels": ()}
)
model = fs.Model(plan, build_network(plan, seed=0))
model.predict(pool.cases[0])  # loads what prediction imports
before = peak_mb()
view = PoolView(pool.cases, pool.label, "slice", 2, lambda c: model.probabilities(pool[c].image()))
units = choices(view, "entropy", 100)
print(len(view.units()), len(units), peak_mb() - before)
"""


@pytest.mark.slow
def test_two_thousand_cases_are_opened_ranked_and_predicted_in_500_mb():
    out = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout.split()
    assert (out[0], out[1]) == ("32000", "100")
    assert float(out[2]) < 500
