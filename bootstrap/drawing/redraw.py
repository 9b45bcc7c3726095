"""Redraw a picture from its own file: from the shot stored in it, or from its infotext alone."""

import dataclasses
import difflib
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bootstrap import images
from bootstrap.drawing import engine, infotext, infotext_shot, networks, samplers
from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import of_picture
from bootstrap.errors import UserError, in_one_line
from bootstrap.files import is_partial, path_of
from bootstrap.lora import kohya
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModelSpec
from bootstrap.planning.expand import lora_file_name
from bootstrap.planning.extra_networks import content_hash
from bootstrap.planning.named_networks import hold_bundled
from bootstrap.project.projects import Workspace
from bootstrap.prompting import embeddings, parse
from bootstrap.prompting.parse import MOST_NETWORKS
from bootstrap.shot_limits import MOST_NAMED_STRENGTH
from bootstrap.shots import EmbeddingUse, LoraUse, Shot

_EPOCH = re.compile(r"-(\d{6})$")  # at the end of a snapshot's name


@dataclass(frozen=True)
class Changes:
    """What to change about the picture; None: keep it."""

    strength: float | None = None  # of the first LoRA, in all passes
    seed: int | None = None
    snapshot: int | None = None  # of the first LoRA


def redraw(
    workspace: Workspace, path: Path, changes: Changes, base_name: str | None
) -> tuple[Image.Image, Shot, str]:
    """Draw a picture again, and return it with its shot and its infotext.

    The base model, LoRA files and embeddings are found by their hashes, anywhere in the workspace.

    Args:
        path: a picture drawn by sid, or by another tool that writes infotext.
        changes: without any, the result equals the picture within 2/255.
        base_name: as in project.toml; None: the base model that the picture was drawn with.

    Raises:
        UserError: the picture does not say how it was drawn, or a file that it needs is missing.
    """
    shot = infotext.shot_of(path)
    if shot is not None and shot.imported is not None:
        shot = None  # it holds stand-ins; the picture's own infotext is still in the file
    found = of_picture.read(path)
    parameters = found.parameters or Infotext("", "", {})
    if shot is None and found.parameters is None:
        raise UserError(f"picture {path}: {found.why_not()}")
    if shot is None and parameters.refusals:
        raise UserError(f"picture {path}: {parameters.refusals[0]}")
    shot = shot or infotext_shot.of_infotext(path, parameters)
    _check_prompts(path, shot)
    files = _lora_files(workspace)
    shot, paths = _with_loras(shot, parameters, files, changes)
    embedding_files = _embedding_files(workspace)
    bundled = [embedding.use for file in sorted(set(paths.values())) for embedding in hold_bundled(file)]
    shot = shot.in_all_passes(
        lambda each: dataclasses.replace(
            each, embeddings=_embeddings(each, parameters, embedding_files, bundled)
        )
    )
    if changes.seed is not None:
        shot = shot.reseeded(changes.seed)
    pictures = _pictures(workspace, path, shot)
    base = loading.hold(_base(workspace, shot, parameters, base_name))
    shot = shot.in_all_passes(
        lambda each: dataclasses.replace(each, base_model=base.spec.name, base_model_hash=base.hash)
    )
    for each in shot.passes:
        samplers.check(each, base.family)
        if each.width % base.latent_factor or each.height % base.latent_factor:
            raise UserError(
                f"picture {path}: its size is {each.width}x{each.height}, and {base.spec.name} draws multiples of "
                f"{base.latent_factor} pixels"
            )
    opened = {file: networks.open_lora(file) for file in set(paths.values())}
    [[drawing]] = engine.draw_batches(
        base, [shot], {use: opened[file] for use, file in paths.items()}, 1, pictures
    )
    hashes = {use.name: kohya.model_hash(paths[use]) for use in shot.loras}
    return drawing.picture, shot, infotext.write(shot, base.spec.title, hashes)


def tool_of(path: Path) -> str:
    """Return the tool that a picture without a shot of sid is from; empty if it is sid's or AUTOMATIC1111's.

    Raises:
        UserError: the file is no picture.
    """
    found = of_picture.read(path)
    return found.parameters.tool if found.parameters and infotext.shot_of(path) is None else ""


def _check_prompts(path: Path, shot: Shot) -> None:
    for each in shot.passes:
        for text in (each.prompt, each.negative_prompt):
            try:
                parse.check(text)
            except ValueError as error:
                raise UserError(f"picture {path}: {error}") from None


def _pictures(workspace: Workspace, path: Path, shot: Shot) -> dict[str, Image.Image]:
    """Open the pictures and masks that a shot starts from, by SHA-256, from anywhere in the workspace."""
    folders = [path.parent, *(workspace.project(name).folder for name in workspace.project_names())]
    pictures = {}
    for use in shot.pictures:
        inner = path_of(use.path, f"picture {path}: it was drawn from")
        places = (folder / inner for folder in folders)
        file = next(
            (place for place in places if place.is_file() and content_hash(place) == use.sha256), None
        )
        if file is None:
            raise UserError(
                f"picture {path}: it was drawn from {use.path}, which is missing from the workspace or has changed"
            )
        pictures[use.sha256] = images.open_picture(file)
    return pictures


def _lora_files(workspace: Workspace) -> list[Path]:
    """Return the LoRA files of a workspace: those in its `loras` folders, and the snapshots of all projects."""
    places = ("loras", "projects/*/loras", "projects/*/generation-*/training-*")
    folders = [folder for place in places for folder in sorted(workspace.folder.glob(place))]
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.safetensors"))
        if path.is_file() and not is_partial(path)
    ]


def _with_loras(
    shot: Shot, parameters: Infotext, files: list[Path], changes: Changes
) -> tuple[Shot, dict[LoraUse, Path]]:
    """Return the shot with its LoRAs, with the changes made, and the files of these LoRAs."""
    hashes = _name_hashes(parameters.fields.get("Lora hashes", ""))
    if not shot.base_model_hash:  # the shot is from infotext
        uses = _uses(shot.prompt, hashes, files)
        shot = shot.in_all_passes(lambda each: dataclasses.replace(each, loras=uses))
    paths = {use: _file_of(use, hashes, files) for each in shot.passes for use in each.loras}
    if changes.strength is None and changes.snapshot is None:
        return shot, paths
    if not all(each.loras for each in shot.passes):
        raise UserError("--strength, --snapshot: the picture was drawn without a LoRA")

    def changed(each: Shot) -> Shot:
        first, *others = each.loras
        use, file = _changed(first, paths[first], changes)
        paths[use] = file
        prompt = each.prompt
        if first.in_prompt:
            prompt = re.sub(
                rf"<(lora|lyco):{re.escape(first.name)}(:[^>]*)?>",
                lambda _: f"<lora:{use.name}:{use.strength:g}>", prompt, count=1,
            )  # fmt: skip
        return dataclasses.replace(each, prompt=prompt, loras=(use, *others))

    return shot.in_all_passes(changed), paths


def _changed(use: LoraUse, path: Path, changes: Changes) -> tuple[LoraUse, Path]:
    """Return a LoRA with another snapshot or strength, and its file."""
    if changes.snapshot is not None:
        path = _snapshot_beside(path, changes.snapshot)
        if use.sha256:
            use = dataclasses.replace(use, name=path.stem, sha256=content_hash(path))
        else:
            use = dataclasses.replace(use, name=path.stem, snapshot=changes.snapshot)
    if changes.strength is not None:
        use = dataclasses.replace(use, strength=changes.strength, te_strength=None)
    return use, path


def _uses(prompt: str, hashes: dict[str, str], files: list[Path]) -> tuple[LoraUse, ...]:
    """Return the LoRAs that a prompt names; infotext has their hashes."""
    uses = []
    for network in parse.extra_networks(prompt)[1]:
        if network.is_lora:
            try:
                unet, te = network.strengths
            except ValueError:
                raise UserError(
                    f"<lora:{network.name}>: its strength is not a number from {-MOST_NAMED_STRENGTH:g} to "
                    f"{MOST_NAMED_STRENGTH:g}"
                ) from None
            named = LoraUse(network.name, "", 0, unet, None if te == unet else te)
            uses.append(dataclasses.replace(named, sha256=content_hash(_file_of(named, hashes, files))))
    return tuple(uses)


def _file_of(use: LoraUse, hashes: dict[str, str], files: list[Path]) -> Path:
    """Find the file of a LoRA: by its content, by its hash in infotext, or else as the training's snapshot."""
    named = [path for path in files if path.stem == use.name]
    model_hash = hashes.get(infotext.without_marks(use.name), "")
    for path in [*named, *(path for path in files if path not in named)]:
        if use.sha256:
            if content_hash(path) == use.sha256:
                return path
        elif model_hash and _has_hash(path, model_hash):
            return path
    for path in named:  # deleted and trained again; files of early versions have the time in their metadata
        if use.training_id and path.parent.name == f"training-{use.training_id[:8]}":
            return path
    if named and not model_hash and not use.sha256:
        return named[0]
    near = difflib.get_close_matches(use.name, [path.stem for path in files], n=3, cutoff=0.5)
    wanted = model_hash or use.sha256
    with_hash = f" with the hash {wanted[:12]}" if wanted else ""
    hint = f" (similar names: {', '.join(near)})" if near else ""
    raise UserError(
        f"LoRA {use.name}: no file{with_hash} is in the workspace; put it into its folder 'loras'{hint}"
    )


def _has_hash(path: Path, model_hash: str) -> bool:
    """Return whether a LoRA file has this hash in infotext; a damaged file has none."""
    try:
        return kohya.model_hash(path).startswith(model_hash)
    except (UserError, OSError):
        return False


def _snapshot_beside(path: Path, epoch: int) -> Path:
    match = _EPOCH.search(path.stem)
    wanted = path.with_stem(lora_file_name(path.stem[: match.start()], epoch)) if match else None
    if wanted is None or not wanted.is_file():
        epochs = sorted(
            int(sibling_match[1])
            for sibling in path.parent.glob("*.safetensors")
            if match
            and sibling.stem.startswith(path.stem[: match.start()])
            and (sibling_match := _EPOCH.search(sibling.stem))
        )
        raise UserError(
            f"--snapshot {epoch}: {path.parent} has no such snapshot of {path.stem} (it has {epochs})"
        )
    return wanted


def _embedding_files(workspace: Workspace) -> list[Path]:
    folders = [workspace.folder / "embeddings", *sorted(workspace.folder.glob("projects/*/embeddings"))]
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.safetensors"))
        if path.is_file() and not is_partial(path)
    ]


def _embeddings(
    shot: Shot, parameters: Infotext, files: list[Path], bundled: list[EmbeddingUse]
) -> tuple[EmbeddingUse, ...]:
    """Read the shot's embeddings into memory, and return them.

    Args:
        bundled: those that its LoRAs bring along, which are in memory.
    """
    hashes = _name_hashes(parameters.fields.get("TI hashes", ""))
    uses: Iterable[tuple[str, str]] = [(use.name, use.sha256) for use in shot.embeddings]
    if not shot.base_model_hash:
        if len(hashes) > MOST_NETWORKS:
            raise UserError(f"infotext: it names {len(hashes):,} embeddings, {MOST_NETWORKS} at most")
        uses = sorted(hashes.items())
    held = []
    for name, hash_ in uses:
        # Infotext leaves ":" and "," of a name out; the prompt has the file's whole name.
        brought = next(
            (
                use
                for use in bundled
                if name in (use.name, infotext.without_marks(use.name)) and use.sha256.startswith(hash_)
            ),
            None,
        )
        if brought is not None:
            held.append(brought)
            continue
        same_name_first = sorted(
            files, key=lambda path: name not in (path.stem, infotext.without_marks(path.stem))
        )
        path = next((path for path in same_name_first if content_hash(path).startswith(hash_)), None)
        if path is None:
            raise UserError(
                f"embedding {name}: no file with the hash {hash_[:12]} is in the workspace; put it into its folder "
                "'embeddings'"
            )
        is_its_name = name == infotext.without_marks(path.stem)
        held.append(embeddings.hold(path, path.stem if is_its_name else name).use)
    return tuple(held)


def _base(workspace: Workspace, shot: Shot, parameters: Infotext, name: str | None) -> BaseModelSpec:
    """Return the base model of a name; None: the one that the picture was drawn with."""
    if name is not None:
        return specs.find(name)
    wanted = shot.base_model_hash or parameters.fields.get("Model hash", "")
    title = parameters.fields.get("Model", "")
    known = _known_bases(workspace, shot.base_model)
    for spec in sorted(known, key=lambda spec: spec.title != title):  # hashing gigabytes takes a while
        if specs.content_hash(spec).startswith(wanted) if wanted else spec.title == title:
            return spec
    raise UserError(
        f"base model '{in_one_line(shot.base_model or title)}' with the hash {wanted[:10] or '(none given)'}: no "
        "project here has it, and nothing is downloaded for a picture; name one with --base"
    )


def _known_bases(workspace: Workspace, name: str) -> list[BaseModelSpec]:
    """Return the base models that projects name, those that are shipped, and the picture's own if it is here."""
    of_projects: list[BaseModelSpec] = []
    for project in workspace.project_names():
        try:
            of_projects.append(workspace.project(project).base_model)
        except UserError:
            continue  # a mistake in one project is no reason to skip the others
    known = [*map(specs.find, specs.embedded_names()), *of_projects]
    if name:
        is_only_the_pictures = name not in [spec.name for spec in known]  # which anybody may have made
        with suppress(UserError):  # the model is not here, or has moved since the picture was drawn
            known.insert(0, specs.find(name, local_only=is_only_the_pictures))
    return list(dict.fromkeys(known))


def _name_hashes(text: str) -> dict[str, str]:
    """Parse `name: hash, name: hash`."""
    pairs = [pair.rpartition(":") for pair in text.split(",")]
    return {name.strip(): hash_.strip() for name, colon, hash_ in pairs if colon and hash_.strip()}
