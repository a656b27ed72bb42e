"""nnU-Net's raw data: imagesTr/CASE_0000.ext, labelsTr/CASE.ext, dataset.json."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

from frugalseg.data.formats import image_files, stem_of
from frugalseg.data.layouts.found import Found, file_case
from frugalseg.data.sources import ClassMap, SemanticFile
from frugalseg.errors import DataError
from frugalseg.settings import Settings


class NnunetOptions(Settings):
    """Options of the layout."""

    part: Literal["Tr", "Ts"] = "Tr"  # training or test folders


def open_nnunet(root: Path, options: NnunetOptions) -> Found:
    """The cases of a raw data set (v2). Its ignore label means that nobody looked. Raises `DataError`."""
    about = _read(root / "dataset.json")
    channels: defaultdict[str, list[Path]] = defaultdict(list)
    for file in image_files(root / f"images{options.part}"):
        name, _, number = stem_of(file).rpartition("_")
        if not (name and number.isdigit()):
            raise DataError(f"{file}: an image of nnU-Net is named CASE_0000, CASE_0001, ... one file a channel")
        channels[name].append(file)
    classes = _classes(root, about)
    folder = root / f"labels{options.part}"
    labels = {stem_of(f): f for f in image_files(folder)} if folder.is_dir() else {}
    return Found(
        tuple(file_case(name, tuple(files)) for name, files in sorted(channels.items())),
        classes.names,
        {name: {"expert": SemanticFile(f, classes)} for name, f in labels.items() if name in channels},
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        about = json.loads(file.read_text())
        if not isinstance(about["labels"], dict):
            raise KeyError("labels")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not the dataset.json of a raw nnU-Net v2 data set ({error!r})") from None
    return dict(about)


def _classes(root: Path, about: dict[str, Any]) -> ClassMap:
    labels = {name: value for name, value in about["labels"].items() if name != "ignore"}
    if any(not isinstance(v, int) for v in labels.values()):
        raise DataError(f"{root / 'dataset.json'}: regions (labels with several values) are not supported")
    ordered = sorted(labels.items(), key=lambda item: item[1])
    names, values = zip(*[item for item in ordered if item[1] > 0], strict=True)
    return ClassMap(("background", *names), tuple(values), about["labels"].get("ignore"))
