"""The public doors of sid: its command line, and the files that it writes. Nothing of the package is imported.

Everything here is to go on working whatever modules the package is made of.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MODULE = "bootstrap"  # `python -m bootstrap` is the `sid` command
OLDER_RULE = "tests.golden.older_rule"  # the same, with shots as they were made when it was recorded

# On whose release the bits of pictures and LoRA files depend. The name is that of the distribution.
LIBRARIES = (
    "torch", "diffusers", "transformers", "tokenizers", "torchsde", "prodigyopt", "numpy", "scipy", "pillow",
)  # fmt: skip

# One thread and no instructions that only some processors have: the same bits on every x86-64 machine.
PLAIN_MODE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
# As it runs for people, on two cores; the bits are those of one kind of processor.
OWN_MODE = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}

# What says when a training was made, in a LoRA file's metadata.
TIMES = {"ss_training_started_at", "ss_training_finished_at", "ss_session_id", "modelspec.date"}


class Sid:
    """The `sid` command in a workspace, in one of the two modes."""

    def __init__(self, workspace: Path, mode: dict[str, str] = PLAIN_MODE, module: str = OLDER_RULE) -> None:
        self.workspace, self.mode, self.module = workspace, mode, module

    def __call__(self, *arguments: str | Path, expect: int = 0) -> str:
        """Run a verb; return what it printed."""
        command = [
            sys.executable,
            "-m",
            self.module,
            "--workspace",
            str(self.workspace),
            *map(str, arguments),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, cwd=self.workspace.parent,
            env=_environment(self.mode),
        )  # fmt: skip
        told = f"sid {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == expect, told
        return done.stdout

    def candidates(self, name: str, *options: str) -> list[dict[str, Any]]:
        """All candidates of a project, duplicates too, in the order of `sid candidates --json`."""
        return json.loads(self("candidates", name, "--all", "--json", *options))

    def folder(self, name: str) -> Path:
        """The folder of a project."""
        return self.workspace / "projects" / name


def _environment(mode: dict[str, str]) -> dict[str, str]:
    known = {key: value for key, value in os.environ.items() if key not in PLAIN_MODE | OWN_MODE}
    for name in [one for one in known if one.startswith(("SID_", "PREFECT_", "KMP_", "GOMP_", "OMP_"))]:
        del known[name]
    return known | mode | {
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "SID_REVIEWER": "tester",
    }  # fmt: skip


def versions() -> dict[str, str]:
    """The libraries' releases, without what tells how they were built, and the kind of processor."""
    return {name: version(name).split("+")[0] for name in LIBRARIES} | {"machine": platform.machine()}


@cache
def processor() -> str:
    """What the bits of the machine's own mode depend on: the instructions that torch uses, and the processor."""
    import torch

    told, about = platform.processor(), Path("/proc/cpuinfo")
    if about.is_file():
        found = dict(re.findall(r"(?m)^(model name|model|stepping|flags)\s*: (.+)", about.read_text()))
        vector = [
            one for one in sorted(found.get("flags", "").split()) if one.startswith(("avx", "amx", "fma"))
        ]
        told = f"{found.get('model name')}, {found.get('model')}.{found.get('stepping')}, {of_text(str(vector))[:8]}"
    return f"{torch.backends.cpu.get_cpu_capability()}, {told}, {os.cpu_count()} cores"


def of_text(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def of_pixels(picture: Path | Image.Image) -> str:
    """The SHA-256 of a picture's size and its RGB bytes."""
    opened = Image.open(picture) if isinstance(picture, Path) else picture
    rgb = opened.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height} ".encode() + rgb.tobytes()).hexdigest()


def infotext(path: Path) -> str:
    """The infotext that a PNG carries."""
    with Image.open(path) as picture:
        picture.load()
        return str(picture.info["parameters"])


def read_safetensors(path: Path) -> tuple[dict[str, tuple[str, list[int], bytes]], dict[str, str]]:
    """The tensors of a file as (dtype, shape, bytes), and its metadata."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        tensors[name] = (entry["dtype"], entry["shape"], data[start + first : start + last])
    return tensors, metadata


# What later builds write beside the metadata of the build that was recorded.
_ADDED = {
    "ss_multires_noise_iterations", "ss_adaptive_noise_scale", "ss_zero_terminal_snr", "ss_scale_weight_norms",
    "ss_ip_noise_gamma", "ss_debiased_estimation", "ss_fp8_base", "ss_face_crop_aug_range", "ss_bucket_no_upscale",
    "ss_min_bucket_reso", "ss_max_bucket_reso", "ss_total_batch_size", "ss_sd_model_hash", "modelspec.encoder_layer",
}  # fmt: skip


def _as_before(metadata: dict[str, str]) -> dict[str, str]:
    """Return a LoRA file's metadata as the recorded build wrote them, so that all else is held to it."""
    if "sid_training" not in metadata:
        return metadata
    settings = json.loads(metadata["sid_training"])["settings"]
    before = {key: value for key, value in metadata.items() if key not in _ADDED}
    before["ss_mixed_precision"] = settings["mixed_precision"]
    before["ss_clip_skip"] = str(settings["clip_skip"] if settings["clip_skip"] > 1 else None)
    if settings["max_train_steps"]:  # there stood the steps of a part of the training
        steps = round(settings["max_train_steps"] / settings["epochs"])
        before["ss_num_batches_per_epoch"] = str(steps)
    before["ss_sd_model_name"] = before["ss_sd_model_name"].removesuffix(".safetensors")
    before.setdefault("ss_network_args", "{}")
    if before["ss_bucket_info"] == "null":
        width, height = before["ss_resolution"].strip("()").split(", ")
        bucket = {"resolution": [int(width), int(height)], "count": int(before["ss_num_train_images"])}
        before["ss_bucket_info"] = json.dumps({"buckets": {"0": bucket}, "mean_img_ar_error": 0.0})
    return before


def of_lora(path: Path) -> dict[str, Any]:
    """What of a LoRA file is the same each time that it is trained."""
    tensors, metadata = read_safetensors(path)
    digest = hashlib.sha256()
    for name, (dtype, shape, data) in sorted(tensors.items()):
        digest.update(f"{name} {dtype} {shape} {len(data)}\n".encode() + data)
    lasting = _as_before({key: value for key, value in metadata.items() if key not in TIMES})
    return {
        "tensors": digest.hexdigest(),
        "metadata": of_text(json.dumps(lasting, sort_keys=True)),
        "count": len(tensors),
        "training_id": json.loads(metadata["sid_training"])["training_id"]
        if "sid_training" in metadata
        else "",
    }


def loras(sid: Sid, name: str) -> dict[str, dict[str, Any]]:
    """The LoRA files of all generations of a project, by name."""
    files = sorted(sid.folder(name).glob("generation-*/training-*/*.safetensors"))
    return {path.name: of_lora(path) for path in files}


def pictures(sid: Sid, name: str, generation: int) -> dict[str, dict[str, Any]]:
    """The candidates of a generation, by id: how each was drawn and what came of it."""
    return {
        one["id"]: {
            "recipe": one["recipe"],
            "strength": one["strength"],
            "snapshot": one["snapshot"],
            "prompt": one["shot"]["prompt"],
            "state": one["state"],
            "duplicate_of": one["duplicate_of"],
            "pixels": of_pixels(Path(one["path"])),
            "infotext": of_text(infotext(Path(one["path"]))),
        }
        for one in sid.candidates(name, "--generation", str(generation))
    }


def counts(sid: Sid, name: str) -> list[dict[str, Any]]:
    """The generations with how many of their candidates were hidden, shown, accepted and rejected."""
    wanted = ("number", "state", "candidates", "duplicates", "published", "undecided", "accepted", "rejected")
    [page] = json.loads(sid("status", name, "--json"))
    return [{key: one[key] for key in wanted} for one in page["generations"]]


def order(sid: Sid, name: str, generation: int) -> list[str]:
    """The ids of those that are shown, likely picks first."""
    listed = json.loads(sid("candidates", name, "--json", "--ranked", "--generation", str(generation)))
    return [one["id"] for one in listed]


def plan(sid: Sid, name: str) -> list[str]:
    """The lines of `sid plan`, without those on time, disk and training; that build told nothing of the training."""
    left_out = ("time:", "disk:", "training:")
    return [line for line in sid("plan", name).splitlines() if not line.startswith(left_out)]


def hint(sid: Sid, text: str) -> str:
    """A text with its commands as that build named them: without the workspace, and `review` for `up`."""
    return text.replace(f"sid --workspace {sid.workspace} ", "sid ").replace("sid up ", "sid review ")


def sheet_pictures(path: Path, columns: int) -> list[str]:
    """The SHA-256 of each picture of a sheet of one row, the original's first; they are square."""
    gap, line = 8, 14  # between the cells; two lines of text are below each
    with Image.open(path) as sheet:
        side = (sheet.width - gap) // columns - gap
        top = sheet.height - gap - (side + 2 * line + gap)
        boxes = [(gap + index * (side + gap), top) for index in range(columns)]
        return [of_pixels(sheet.crop((x, y, x + side, y + side))) for x, y in boxes]
