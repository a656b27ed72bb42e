"""What this machine can do and what is broken."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

EXTRAS = {
    "studio": ["nicegui"],
    "agent": ["gymnasium", "stable_baselines3", "sb3_contrib"],
    "ray": ["ray"],
    "dicom": ["pydicom", "highdicom"],
}


@dataclass(frozen=True)
class Check:
    """One line of the doctor: what was looked at, what was found, and whether it stands in the way."""

    name: str
    found: str
    ok: bool = True


def examine() -> list[Check]:
    """Looks at the interpreter, the packages, the hardware and the disk; never raises."""
    return [_python(), *_packages(), _torchvision(), _hardware(), _memory(), *_extras(), _data()]


def _python() -> Check:
    return Check("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> list[Check]:
    checks = []
    for name in ("torch", "monai", "lightning-fabric", "transformers", "nibabel", "SimpleITK"):
        try:
            checks.append(Check(name, version(name)))
        except PackageNotFoundError:
            checks.append(Check(name, "not installed: pip install -c constraints.txt frugalseg", ok=False))
    return checks


def _torchvision() -> Check:
    """A torchvision that does not fit torch breaks every model class of transformers; frugalseg needs none."""
    if importlib.util.find_spec("torchvision") is None:
        return Check("torchvision", "not installed, and not needed")
    probe = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        return Check("torchvision", "installed and loads (not needed)")
    return Check("torchvision", "does not load and breaks transformers: pip uninstall torchvision", ok=False)


def _hardware() -> Check:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Check("device", f"{torch.cuda.device_count()} GPU: {names}")
    return Check("device", f"CPU, {torch.get_num_threads()} threads of {os.cpu_count()} cores")


def _memory() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Check("disk", f"{free:.0f} GiB free here" + ("" if free > 2 else ": too little for a campaign"), free > 2)


def _extras() -> list[Check]:
    checks = []
    for extra, modules in EXTRAS.items():
        missing = [m for m in modules if importlib.util.find_spec(m) is None]
        found = f"not installed; pip install 'frugalseg[{extra}]'" if missing else "installed"
        checks.append(Check(f"extra {extra}", found))
    return checks


def _data() -> Check:
    folder = os.environ.get("FRUGALSEG_DATA")
    if not folder:
        return Check("FRUGALSEG_DATA", "not set: examples and tests on real data skip")
    exists = Path(folder).is_dir()
    return Check("FRUGALSEG_DATA", folder if exists else f"{folder} is not a folder", exists)
