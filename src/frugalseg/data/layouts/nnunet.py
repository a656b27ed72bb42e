"""nnU-Net's raw data: imagesTr/CASE_0000.ext, labelsTr/CASE.ext, dataset.json; and the Decathlon's, CASE.ext."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from frugalseg.data.formats import image_files, stem_of
from frugalseg.data.layouts.found import Found, listed
from frugalseg.data.sources import ClassMap, SemanticFile
from frugalseg.errors import DataError
from frugalseg.settings import Settings

_CHANNEL = re.compile(r"(.+)_(\d{4})")


class NnunetOptions(Settings):
    """Options of the layout."""

    part: Literal["Tr", "Ts"] = "Tr"  # training or test folders


def open_nnunet(root: Path, options: NnunetOptions) -> Found:
    """The cases of a raw data set (v1, v2) or of the Decathlon, whose files hold all channels.

    The ignore label means that nobody looked. Raises `DataError`, also for a channel that is not there.
    """
    about = _read(root / "dataset.json")
    folder = root / f"labels{options.part}"
    labels = {stem_of(f): f for f in image_files(folder)} if folder.is_dir() else {}
    channels = _channels(root / f"images{options.part}", labels, len(about.get("channel_names", ())) or 1)
    classes = _classes(root, about)
    return Found(
        tuple(listed(name, tuple(files)) for name, files in sorted(channels.items())),
        classes.names,
        {name: {"expert": SemanticFile(f, classes)} for name, f in labels.items() if name in channels},
    )


def _channels(folder: Path, labels: Mapping[str, Path], n: int) -> dict[str, list[Path]]:
    """Case -> its files in the order of channels; a file named like a label, without a number, holds all of them."""
    numbered: defaultdict[str, list[Path]] = defaultdict(list)
    whole: dict[str, list[Path]] = {}
    for file in image_files(folder):
        stem = stem_of(file)
        match = None if stem in labels else _CHANNEL.fullmatch(stem)
        if match:
            numbered[match[1]].append(file)
        else:
            whole[stem] = [file]
    for name, files in numbered.items():
        expected = [f"{name}_{k:04d}" for k in range(n)]
        if [stem_of(f) for f in files] != expected:
            there = ", ".join(f.name for f in files)
            raise DataError(f"{folder}: case '{name}' needs the files {', '.join(expected)}, but has {there}")
    return {**whole, **numbered}


def _read(file: Path) -> dict[str, Any]:
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(about["labels"], dict):
            raise KeyError("labels")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not the dataset.json of a raw nnU-Net v2 data set ({error!r})") from None
    return dict(about)


def _classes(root: Path, about: dict[str, Any]) -> ClassMap:
    labels = {name: value for name, value in about["labels"].items() if name != "ignore"}
    if all(str(name).isdigit() for name in labels):  # version 1 and the Decathlon write {"1": name}
        labels = {str(name): int(value) for value, name in labels.items()}
    if any(not isinstance(v, int) for v in labels.values()):
        raise DataError(f"{root / 'dataset.json'}: regions (labels with several values) are not supported")
    ordered = sorted(labels.items(), key=lambda item: item[1])
    if not any(value > 0 for _, value in ordered):
        raise DataError(f"{root / 'dataset.json'}: names no class beside the background; add one to 'labels'")
    names, values = zip(*[item for item in ordered if item[1] > 0], strict=True)
    return ClassMap(("background", *names), tuple(values), about["labels"].get("ignore"))
