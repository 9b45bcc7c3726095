"""Embedders: vectors whose cosine measures how alike two pictures are, from the base model or a file of the user's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.files import path_of
from bootstrap.project.projects import Project

BASE, NONE = "base", "none"
# CLIP's normalization, which most later encoders share; preprocessor_config.json beside the model overrides it.
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_BATCH = 16
_ThreeColours = Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], Field(min_length=3, max_length=3)]


class Embedder(Protocol):
    """Anything that turns pictures into vectors."""

    name: str  # vectors of the same name can be compared; 80 characters at most

    def embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return (n, d) rows of length 1 for n RGB pictures of one size."""
        ...


def open_embedder(project: Project) -> Embedder | None:
    """Return the embedder that `[curation] embedder` names; None for "none".

    Raises:
        UserError: its folder has no usable model (ONNX or transformers), or the base model cannot be loaded.
    """
    name = project.settings.curation.embedder
    if name == NONE:
        return None
    if name == BASE:
        return BaseModelEmbedder(project)
    folder = project.folder / path_of(name, "file")
    if (folder / "config.json").is_file() and not list(folder.glob("*.onnx")):
        return TransformersEmbedder(folder)
    return OnnxEmbedder(folder)


class BaseModelEmbedder:
    """The base model's own features (see bootstrap.pictures.features): needs no other file."""

    def __init__(self, project: Project) -> None:
        from bootstrap.models import loading  # imports torch, which takes seconds

        self._base = loading.hold(project.base_model)
        self.name = f"base {self._base.hash[:16]}"

    def embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """See Embedder."""
        from bootstrap.pictures import features

        return features.embed(self._base, pictures, _BATCH)


class OnnxEmbedder:
    """An image encoder as an ONNX file: (n, 3, side, side) float32 in, vectors as its first output.

    Its folder holds `model.onnx` or a single `.onnx` file of another name, and optionally the
    `preprocessor_config.json` of transformers with `image_mean` and `image_std`. Output with more than two axes is
    averaged over the axes between the first and the last.
    """

    def __init__(self, folder: Path) -> None:
        setting = f"curation.embedder {folder}"
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError:
            raise UserError(f"{setting}: reading ONNX files needs `pip install onnxruntime`") from None
        files = (
            [folder / "model.onnx"] if (folder / "model.onnx").is_file() else sorted(folder.glob("*.onnx"))
        )
        if len(files) != 1:
            raise UserError(f"{setting}: it has {len(files)} .onnx files; name the one to use model.onnx")
        try:
            self._session = onnxruntime.InferenceSession(
                str(files[0]), providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime's exceptions have no common base class of their own
            raise UserError(f"{setting}: {files[0].name} is not a usable ONNX model ({error})") from None
        self._input = self._session.get_inputs()[0]
        shape = self._input.shape
        if len(shape) != 4 or shape[1] != 3:
            raise UserError(f"{setting}: its input is {shape}, expected (n, 3, side, side)")
        self._side = shape[2] if isinstance(shape[2], int) else 224
        self._mean, self._std = _normalization(folder, setting)
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

    The vectors are the image features of CLIP, SigLIP and the like, or the mean over the patches of encoders such as
    DINOv2 and ViT. Folders of timm models need timm installed.
    """

    def __init__(self, folder: Path) -> None:
        setting = f"curation.embedder {folder}"
        from safetensors import SafetensorError
        from transformers import AutoModel  # imports torch, which takes seconds

        try:
            model, loaded = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False,
                output_loading_info=True,
            )  # fmt: skip
        except (ImportError, OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(f"{setting}: no model that transformers can read ({reason})") from None
        missing = [name for name in loaded["missing_keys"] if "pooler" not in name]  # the pooler is not used
        if missing:
            raise UserError(
                f"{setting}: its file lacks {len(missing)} of the model's weights, such as {missing[0]}"
            )
        self._model = model.eval()
        self._is_dual = hasattr(self._model, "get_image_features")
        if not self._is_dual and self._model.main_input_name != "pixel_values":
            raise UserError(f"{setting}: {type(self._model).__name__} does not read pictures")
        config = getattr(self._model.config, "vision_config", self._model.config)
        side = getattr(config, "image_size", 224)
        self._size = (side, side) if isinstance(side, int) else (int(side[1]), int(side[0]))
        self._mean, self._std = _normalization(folder, setting)
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        self.name = f"transformers {folder.name} {weights}"[-80:]

    def embed(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """See Embedder."""
        import torch

        rows = []
        for first in range(0, len(pictures), _BATCH):
            batch = pictures[first : first + _BATCH]
            pixels = np.stack([_prepared(picture, self._size, self._mean, self._std) for picture in batch])
            with torch.inference_mode():
                rows.append(self._features(torch.from_numpy(pixels)).float().numpy())
        return _of_length_1(np.concatenate(rows))

    def _features(self, pixels: Any) -> Any:
        if not self._is_dual:
            states = self._model(pixel_values=pixels).last_hidden_state
            return states.flatten(2).mean(2) if states.ndim == 4 else states.mean(1)
        features = self._model.get_image_features(pixel_values=pixels)
        return getattr(features, "pooler_output", features)  # newer releases of transformers wrap it


def _prepared(
    picture: Image.Image, size: tuple[int, int], mean: NDArray[np.float32], std: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return a picture scaled and normalized, (3, height, width)."""
    scaled = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    normalized: NDArray[np.float32] = (scaled / np.float32(255) - mean) / std
    return normalized.transpose(2, 0, 1)


def _of_length_1(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(rows / lengths, np.float32)


def _normalization(folder: Path, setting: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    path, remedy = folder / "preprocessor_config.json", "download the encoder again"
    config = _Normalization()
    if path.is_file():
        where = f"{setting}: {path.name}"
        config = reading.shaped(_Normalization, reading.json_file(path, where, remedy), where, remedy)
    return np.array(config.image_mean, np.float32), np.array(config.image_std, np.float32)


class _Normalization(BaseModel):
    """What preprocessor_config.json says about the colours; its other keys do not matter here."""

    image_mean: _ThreeColours = list(_MEAN)
    image_std: Annotated[list[Annotated[float, Field(gt=0, le=1e6)]], Field(min_length=3, max_length=3)] = (
        list(_STD)
    )
