"""`frugalseg predict`: a mask for each image, from a trained specialist or from prompts to a generalist."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from frugalseg.cli.show import console
from frugalseg.cli.verbs import model_at, skips
from frugalseg.data.formats import image_files, read_image
from frugalseg.data.write import write_label
from frugalseg.errors import DataError, FrugalsegError, SettingsError, lookup
from frugalseg.generalists.instances import as_instances
from frugalseg.generalists.predictor import Predictor, Zoom
from frugalseg.generalists.prompt_file import Request, answer, read_requests

_ZOOMS: dict[str, Zoom] = {"auto": "auto", "off": "off"}


@dataclass(frozen=True)
class Target:
    """Where masks and pictures of them go, and whether a bad image stops everything."""

    out: Path
    overlay: bool
    on_error: str
    taken: dict[Path, Path] = field(default_factory=dict, init=False)  # files not to write over, and whose they are

    def mask(self, file: Path, ndim: int) -> Path:
        """The mask's file: the image's own name where its format holds masks without loss, else NIfTI or PNG.

        Raises `DataError` when it would lie on an image that was given, or on the mask of another one.
        """
        keeps = (".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".tif", ".tiff")
        suffix = next((s for s in keeps if file.name.lower().endswith(s)), ".nii.gz" if ndim == 3 else ".png")
        path = self.out / (_stem(file) + suffix)
        owner = self.taken.setdefault(path.resolve(), file)
        if path.resolve() == owner.resolve():
            raise DataError(f"{file}: its mask would be written over the image {owner}; name another folder with -o")
        if owner.resolve() != file.resolve():
            raise DataError(
                f"{file}: its mask {path} would be written over that of {owner}; rename one, or give another -o"
            )
        return path

    def picture(self, file: Path) -> Path:
        """The picture's file."""
        return self.out / (_stem(file) + "_overlay.png")


def predict(paths: Sequence[Path], target: Target, *, device: torch.device) -> None:
    """Writes the specialist's mask for each image: the first path is a model file or a workspace."""
    if len(paths) < 2:
        raise SettingsError(
            "say which model and which images: frugalseg predict MODEL IMAGE..., or give --prompts FILE"
        )
    specialist = model_at(paths[0])
    specialist.network.to(device)

    def write(file: Path) -> Path:
        prediction = specialist.predict(file)
        path = target.mask(file, prediction.geometry.ndim)
        prediction.save(path)
        if target.overlay:
            from frugalseg.report.pictures import overlay_png

            overlay_png(target.picture(file), read_image(file), prediction.label)
        return path

    _for_each(paths[1:], write, target)


def generalist_at(name: str, weights: Path | None, *, zoom: str, device: torch.device) -> Predictor:
    """The generalist of that name, ready to be asked."""
    from frugalseg.generalists.registry import build_generalist

    chosen: Zoom = lookup(_ZOOMS, zoom, "--zoom")
    return Predictor(build_generalist(name, weights=weights, device=device), zoom=chosen)


def predict_prompts(images: Sequence[Path], prompts: Path, predictor: Predictor, target: Target) -> None:
    """Writes what a generalist answers to the same prompts on each 2D image: object k is the answer to prompt k.

    Where two answers overlap, the later prompt's object lies on top.
    """
    asked = read_requests(prompts)
    _for_each(images, lambda file: _answer(file, asked, predictor, target), target)


def _answer(file: Path, requests: Sequence[Request], predictor: Predictor, target: Target) -> Path:
    image = read_image(file)
    geometry = image.geometry
    if geometry.ndim != 2:
        raise DataError(
            f"{file}: prompts name pixels of 2D images, but this one has shape {geometry.shape}; cut a slice"
        )
    predictor.set_image(image.array, spacing=(geometry.spacing[0], geometry.spacing[1]))
    label = as_instances(answer(predictor, requests, (geometry.shape[0], geometry.shape[1])))
    path = target.mask(file, ndim=2)
    write_label(path, label, geometry)
    if target.overlay:
        from frugalseg.report.answers import answers_png

        answers_png(target.picture(file), image, label, [request.shown() for request in requests])
    return path


def _for_each(paths: Sequence[Path], write: Callable[[Path], Path], target: Target) -> None:
    skip, failed = skips(target.on_error), 0
    files = list(_each_image(paths))
    target.taken.update({file.resolve(): file for file in files})
    for file in files:
        try:
            path = write(file)
        except FrugalsegError as error:
            if not skip:
                raise
            failed += 1
            console.print(f"left out: {error}", soft_wrap=True, markup=False)
        else:
            console.print(f"{file} -> {path}", soft_wrap=True, markup=False)
    if failed:
        console.print(f"{failed} images were left out")


def _each_image(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
        yield from image_files(path) if path.is_dir() else [path]


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").rsplit(".", 1)[0] if file.is_file() else file.name
