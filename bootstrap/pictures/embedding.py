"""Embedders: vectors whose cosine says how alike two pictures are, from the base model or from a file of one's own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bootstrap.errors import UserError
from bootstrap.project.projects import Project

BASE, NONE = "base", "none"
# What CLIP was trained with, and most encoders since; preprocessor_config.json beside the model says otherwise.
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_BATCH = 16


class Embedder(Protocol):
    """Whatever makes vectors of pictures."""

    name: str  # vectors of the same name can be compared; 80 characters at most

    def embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return (n, d) rows of length 1 for n RGB pictures of one size."""
        ...


def open_embedder(project: Project) -> Embedder | None:
    """The embedder that `[curation] embedder` names; None where there shall be none.

    Raises:
        UserError: its folder has no usable model (ONNX, or transformers'), or the base model cannot be loaded.
    """
    asked = project.settings.curation.embedder
    if asked == NONE:
        return None
    if asked == BASE:
        return BaseModelEmbedder(project)
    folder = project.folder / Path(asked).expanduser()
    if (folder / "config.json").is_file() and not list(folder.glob("*.onnx")):
        return TransformersEmbedder(folder)
    return OnnxEmbedder(folder)


class BaseModelEmbedder:
    """The base model's own UNet features (see bootstrap.pictures.features): needs no further file."""

    def __init__(self, project: Project) -> None:
        from bootstrap.models import loading  # imports torch: seconds that other embedders need not wait

        self._base = loading.hold(project.base_model)
        self.name = f"base {self._base.hash[:16]}"

    def embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """See Embedder."""
        from bootstrap.pictures import features

        return features.embed(self._base, pictures, _BATCH)


class OnnxEmbedder:
    """An image encoder as an ONNX file: (n, 3, side, side) float32 in, vectors as its first output.

    In its folder lies `model.onnx`, or one `.onnx` file of another name, and perhaps the `preprocessor_config.json` of
    transformers with `image_mean` and `image_std`. Output of more than two axes is averaged over those in between.
    """

    def __init__(self, folder: Path) -> None:
        told = f"curation.embedder {folder}"
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError:
            raise UserError(f"{told}: reading ONNX files needs `pip install onnxruntime`") from None
        files = (
            [folder / "model.onnx"] if (folder / "model.onnx").is_file() else sorted(folder.glob("*.onnx"))
        )
        if len(files) != 1:
            raise UserError(f"{told}: it has {len(files)} .onnx files; put one there, named model.onnx")
        try:
            self._session = onnxruntime.InferenceSession(
                str(files[0]), providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime's exceptions have no common class of their own
            raise UserError(f"{told}: {files[0].name} is no usable ONNX model ({error})") from None
        self._input = self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or shape[1] != 3:
            raise UserError(f"{told}: its input is {shape}, expected (n, 3, side, side)")
        self._side = shape[2] if isinstance(shape[2], int) else 224
        self._mean, self._std = _normalization(folder, told)
        self.name = f"onnx {files[0].parent.name}/{files[0].name} {files[0].stat().st_size}"[-80:]

    def embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """See Embedder."""
        rows = []
        for picture in pictures:
            pixels = _prepared(picture, (self._side, self._side), self._mean, self._std)
            vector = self._session.run(None, {self._input.name: pixels[None]})[0][0]
            rows.append(vector.reshape(-1, vector.shape[-1]).mean(axis=0))
        return _of_length_1(np.stack(rows))


class TransformersEmbedder:
    """An image encoder in transformers' format: `config.json` and safetensors in a folder, read without a network.

    CLIP, SigLIP and the like give their image features, encoders such as DINOv2 and ViT the mean of their patches. A
    folder of timm's is read where timm is installed.
    """

    def __init__(self, folder: Path) -> None:
        told = f"curation.embedder {folder}"
        from safetensors import SafetensorError
        from transformers import AutoModel  # imports torch: seconds that other embedders need not wait

        try:
            model, loaded = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False,
                output_loading_info=True,
            )  # fmt: skip
        except (ImportError, OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"{told}: no model that transformers can read ({first})") from None
        missing = [name for name in loaded["missing_keys"] if "pooler" not in name]  # we do without that one
        if missing:
            raise UserError(
                f"{told}: its file lacks {len(missing)} of the model's weights, such as {missing[0]}"
            )
        self._model = model.eval()
        self._is_dual = hasattr(self._model, "get_image_features")
        if not self._is_dual and self._model.main_input_name != "pixel_values":
            raise UserError(f"{told}: {type(self._model).__name__} does not read pictures")
        config = getattr(self._model.config, "vision_config", self._model.config)
        side = getattr(config, "image_size", 224)
        self._size = (side, side) if isinstance(side, int) else (int(side[1]), int(side[0]))
        self._mean, self._std = _normalization(folder, told)
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        self.name = f"transformers {folder.name} {weights}"[-80:]

    def embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """See Embedder."""
        import torch

        rows = []
        for first in range(0, len(pictures), _BATCH):
            some = pictures[first : first + _BATCH]
            pixels = np.stack([_prepared(one, self._size, self._mean, self._std) for one in some])
            with torch.inference_mode():
                rows.append(self._features(torch.from_numpy(pixels)).float().numpy())
        return _of_length_1(np.concatenate(rows))

    def _features(self, pixels: Any) -> Any:
        if not self._is_dual:
            found = self._model(pixel_values=pixels).last_hidden_state
            return found.flatten(2).mean(2) if found.ndim == 4 else found.mean(1)
        found = self._model.get_image_features(pixel_values=pixels)
        return getattr(found, "pooler_output", found)  # newer releases of transformers wrap it


def _prepared(
    picture: Image.Image, size: tuple[int, int], mean: NDArray[np.float32], std: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A picture scaled and normalized: (3, height, width)."""
    scaled = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    normalized: NDArray[np.float32] = (scaled / np.float32(255) - mean) / std
    return normalized.transpose(2, 0, 1)


def _of_length_1(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(rows / lengths, np.float32)


def _normalization(folder: Path, told: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    path = folder / "preprocessor_config.json"
    given = {}
    if path.is_file():
        try:
            given = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise UserError(f"{told}: {path.name} is no JSON ({error})") from None
    return (
        np.array(given.get("image_mean", _MEAN), np.float32),
        np.array(given.get("image_std", _STD), np.float32),
    )
