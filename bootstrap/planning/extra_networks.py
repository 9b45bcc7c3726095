"""The files that prompts name: LoRAs, embeddings and wildcards, in folders of the project and of the workspace."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from bootstrap.errors import UserError, in_one_line
from bootstrap.files import is_partial, sha256_of_file
from bootstrap.lora import header
from bootstrap.project.projects import Project
from bootstrap.prompting import parse
from bootstrap.shots import LoraUse

_PICKLES = (".pt", ".bin", ".pth", ".ckpt")


@dataclass(frozen=True)
class Shelf:
    """The folders `loras`, `embeddings` and `wildcards`; their files are listed once, on first use."""

    folders: tuple[
        Path, ...
    ]  # their parents, the project's first: its files take precedence over the workspace's

    @classmethod
    def of(cls, project: Project) -> "Shelf":
        """Return the shelf of a project."""
        return cls((project.folder, project.workspace.folder))

    def inside(self, kind: str) -> list[Path]:
        """Return the existing folders of that name."""
        return [folder / kind for folder in self.folders if (folder / kind).is_dir()]

    def _files(self, kind: str, endings: Sequence[str]) -> dict[str, Path]:
        """Return the files of a kind by name without suffix; the project's and those of upper folders come first."""
        files: dict[str, Path] = {}
        for folder in self.inside(kind):
            for path in sorted(folder.rglob("*"), key=lambda path: (len(path.parts), path)):
                if path.suffix.lower() in endings and path.is_file() and not is_partial(path):
                    files.setdefault(path.stem, path)
        return files

    @cached_property
    def loras(self) -> dict[str, Path]:
        """The LoRA files by name."""
        return self._files("loras", (".safetensors",))

    @cached_property
    def embeddings(self) -> dict[str, Path]:
        """The embeddings by name, without those that are pickles."""
        return self._files("embeddings", (".safetensors",))

    @property
    def wildcards(self) -> tuple[Path, ...]:
        """The folders of wildcard files."""
        return tuple(self.inside("wildcards"))

    def lora(self, name: str) -> Path:
        """Return the LoRA file of a name: its file name, or else the name that it was trained under (`ss_output_name`).

        Raises:
            UserError: there is no such file, or only a pickle.
        """
        known = self.loras
        if name in known:
            return known[name]
        by_alias = {_output_name(path): path for path in known.values()}
        if name and name in by_alias:
            return by_alias[name]
        folders = " and ".join(str(folder / "loras") for folder in self.folders)
        pickle = self._files("loras", _PICKLES).get(name)
        if pickle is not None:
            raise UserError(
                f"LoRA {pickle}: only .safetensors files are read, as pickles can run code when opened; "
                "get it in that format"
            )
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = (
            f"did you mean {', '.join(near)}?"
            if near
            else f"known: {', '.join(sorted(known)[:10]) or 'none'}"
        )
        raise UserError(f"<lora:{name}>: there is no {name}.safetensors in {folders} ({hint})")

    def lora_uses(self, prompt: str) -> tuple[LoraUse, ...]:
        """Return the LoRA files that a prompt names, in its order.

        Raises:
            UserError: a file is missing, a strength is not a number, or sid does not have what the prompt says.
        """
        uses = []
        for network in parse.extra_networks(prompt)[1]:
            name = in_one_line(network.name)
            if network.kind == "hypernet":
                raise UserError(
                    f"prompt '{in_one_line(prompt)}': hypernetworks are not supported; take <hypernet:{name}> out"
                )
            if not network.is_lora:  # A1111 removes an unknown kind from the text, and nothing comes of it
                raise UserError(
                    f"prompt '{in_one_line(prompt)}': sid does not know <{network.kind}:...>; take it out"
                )
            if network.unused:
                raise UserError(
                    f"prompt '{in_one_line(prompt)}': <lora:{name}> with {in_one_line(network.unused[0])} is not "
                    "supported; take it out"
                )
            path = self.lora(name)
            try:
                unet, te = network.strengths
            except ValueError:
                raise UserError(
                    f"prompt '{in_one_line(prompt)}': write <lora:{name}:0.8>, the strength as a number"
                ) from None
            uses.append(LoraUse(name, "", 0, unet, None if te == unet else te, content_hash(path)))
        return tuple(uses)

    def check_embeddings(self, text: str) -> None:
        """Refuse a text that names an embedding that exists only as a pickle.

        Raises:
            UserError: the text names such an embedding.
        """
        for name, path in self._files("embeddings", _PICKLES).items():
            if _names(text, name) and name not in self.embeddings:
                raise UserError(
                    f"embedding {path}: the prompt names it, but only .safetensors files are read, as pickles can "
                    "run code when opened; convert it, or get it in that format"
                )

    def refuse_embeddings(self, text: str, title: str) -> None:
        """Refuse a text that names an embedding, for a base model whose family has none.

        Args:
            title: the family's.

        Raises:
            UserError: the text names one.
        """
        for name, path in self.embeddings.items():
            if _names(text, name):
                raise UserError(
                    f"embedding {path}: the prompt names it, but {title} has no embeddings; take '{name}' out of the "
                    "prompt, or move the file away"
                )


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, cached until its size or modification time changes."""
    status = path.stat()
    return _content_hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _content_hash(path: Path, size: int, modified: int) -> str:
    return sha256_of_file(path)


def _output_name(path: Path) -> str:
    return header.metadata(path).get("ss_output_name", "")
