"""Where training runs. The one place that chooses a device and starts processes."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from frugalseg.errors import SettingsError
from frugalseg.settings import Settings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Hardware(Settings):
    """What a run may use. It changes how fast the result comes, not what it is (up to rounding)."""

    device: Literal["auto", "cpu", "gpu"] = "auto"  # auto: the GPU when there is one
    devices: int = Field(1, ge=1)  # processes on this machine, one GPU each with device gpu
    nodes: int = Field(1, ge=1)  # machines, under torchrun or SLURM
    threads: int | None = Field(None, ge=1)  # CPU threads of each process; None: torch's choice

    def launch(self, precision: Literal["32-true", "bf16-mixed"]) -> "Fabric":
        """Fabric on this hardware, with all processes running.

        For several devices the running command is started again once for each further device, unless torchrun or
        SLURM has started them all: every process comes to this line, with the same arguments. Raises `SettingsError`
        when the machine has not what was asked for.
        """
        from lightning_fabric import Fabric

        several = self.devices * self.nodes > 1
        if several:
            _check_restartable(self.devices)
        fabric = Fabric(
            accelerator=self.accelerator(),
            devices=self.devices,
            num_nodes=self.nodes,
            precision=precision,
            strategy="ddp" if several else "auto",
        )
        fabric.launch()
        self.limit_threads()
        return fabric

    def limit_threads(self) -> None:
        """Gives this process its number of CPU threads."""
        if self.threads:
            torch.set_num_threads(self.threads)

    def accelerator(self) -> str:
        """Where a run computes: cpu or cuda. Raises `SettingsError` when the machine has not what was asked for."""
        found = torch.cuda.device_count()
        if self.device == "cpu" or (self.device == "auto" and not found):
            return "cpu"
        if self.devices > found:
            raise SettingsError(
                f"hardware: {self.devices} GPU were asked for but torch sees {found} here; "
                "lower 'devices' or use device 'cpu'"
            )
        return "cuda"

    def own_device(self) -> torch.device:
        """Where this process computes: of several GPU its own one."""
        if self.accelerator() == "cpu":
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def _check_restartable(devices: int) -> None:
    if "LOCAL_RANK" not in os.environ and not Path(sys.argv[0]).is_file():
        raise SettingsError(
            f"hardware: devices = {devices} starts the running command again for each process, which an interactive "
            "session cannot; use devices = 1, or put the code into a script"
        )
