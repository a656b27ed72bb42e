"""The specialist: the small network that is trained here and handed to the user at the end.

`NETWORKS` names the networks. A plan (`plan.py`) made from the data says which one and how large; cases are brought
into the plan's form in `prepare.py`; `model.py` is the trained thing that predicts and is one file.
"""

from frugalseg.specialist.architecture import Recipe
from frugalseg.specialist.unet import UNet
from frugalseg.specialist.vnet import VNet

NETWORKS: dict[str, Recipe] = {
    "unet-tiny": Recipe(UNet, (16, 32, 64, 128), stem=True),
    "unet-small": Recipe(UNet, (32, 64, 128, 256), stem=True),
    "unet": Recipe(UNet, (32, 64, 128, 256, 320, 320)),
    "vnet": Recipe(VNet, (16, 32, 64, 128, 256), fits=False, dropout=0.5),
}
"""Name -> recipe: two U-Nets for the CPU, the U-Net of nnU-Net's size, the V-Net of the LA family."""
