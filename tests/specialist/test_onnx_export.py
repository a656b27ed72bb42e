import numpy as np
import pytest
import torch
from specialist_world import tiny_plan

from frugalseg.specialist import NETWORKS
from frugalseg.specialist.export import export_onnx
from frugalseg.specialist.model import Model
from frugalseg.specialist.plan import build_network

SLIM = {"unet": (8, 8, 16), "vnet": (4, 8, 8, 8, 8)}


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("ndim", [2, 3])
def test_onnx_runtime_gives_the_networks_logits_for_any_batch(name, ndim, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    plan = tiny_plan(ndim, network=name, channels=2, patch=(20, 16, 24)[:ndim], widths=SLIM.get(name, (8, 8)))
    model = Model(plan, build_network(plan, seed=0))
    model.network.train()
    export_onnx(model, tmp_path / "net.onnx")
    assert model.network.training
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        x = torch.randn(batch, 2, *plan.patch, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected = model.network.eval()(x).numpy()
        np.testing.assert_allclose(session.run(["logits"], {"image": x.numpy()})[0], expected, atol=1e-3)
