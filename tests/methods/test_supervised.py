import torch

from frugalseg.learn.losses import masked_cross_entropy, masked_dice
from frugalseg.methods.supervised import Supervised, SupervisedSettings
from tiny_world import network_maker, world


def test_the_loss_is_half_cross_entropy_and_half_dice_of_the_labelled_samples() -> None:
    method, batch = Supervised(network_maker(), SupervisedSettings()), world()(0)
    z, y = method.network(batch.image[:2]), batch.label[:2]
    terms = method.losses(batch, 0)
    torch.testing.assert_close(terms["ce"], masked_cross_entropy(z, y) / 2)
    torch.testing.assert_close(terms["dice"], masked_dice(z, y) / 2)


def test_dice_can_be_left_out() -> None:
    method = Supervised(network_maker(), SupervisedSettings(dice=0))
    assert method.losses(world()(0), 0)["dice"] == 0
