"""Mend a candidate: draw it again with something changed, or inpaint a part of it or of the original.

The results are candidates of the same generation and up for review at once. A person asked for them, so they are shown
even if they duplicate others.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import captions, images, reading
from bootstrap.catalog import Catalog, candidate_states, candidates, picks, trainings
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.states import CandidateState
from bootstrap.commands import command
from bootstrap.drawing import networks, samplers
from bootstrap.drawing.candidate_drawing import draw_shots, lora_paths, missing_shots
from bootstrap.drawing.shards import Planned
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.loop.generation import look_through
from bootstrap.models import loading, specs
from bootstrap.models.family import AUTOMATIC, sampler_and_schedule
from bootstrap.pictures.thumbnails import make_thumbnail
from bootstrap.planning.expand import lora_file_name
from bootstrap.planning.extra_networks import Shelf
from bootstrap.planning.inputs import named_base_models
from bootstrap.progress import Report, silent
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively
from bootstrap.prompting import parse
from bootstrap.shot_limits import (
    LEAST_CFG_SCALE,
    LEAST_STRENGTH,
    MOST_CFG_SCALE,
    MOST_STEPS,
    MOST_STRENGTH,
)
from bootstrap.shots import LoraUse, Mask, PictureUse, Shot, Start

MOST = 16  # pictures per call
MOST_ROUNDS = 8
MOST_PADDING = 256  # pixels
_EPOCH = re.compile(r"-\d{6}$")  # at the end of a snapshot's name


@dataclass(frozen=True)
class Redraw:
    """Draw the candidate with other parameters; None: as before."""

    strength: float | None = None  # of the first LoRA, LEAST_STRENGTH to MOST_STRENGTH
    snapshot: int | None = None  # epoch of the first LoRA
    seed: int | None = None  # of the first picture; each further one adds 1
    count: int = 1
    # In all passes: the prompt that the first one has as well as the last one, for example.
    prompt: str | None = None
    negative_prompt: str | None = None
    cfg_scale: float | None = None  # LEAST_CFG_SCALE to MOST_CFG_SCALE
    steps: int | None = None  # 1 to MOST_STEPS
    sampler: str | None = None  # one of the base model's family, or an older name with a schedule
    schedule: str | None = None  # one of the base model's family


@dataclass(frozen=True)
class Inpaint:
    """Redraw a part of the candidate, or of the original in the way in which the candidate was drawn."""

    mask: Path  # a picture of the same size as what is redrawn, white where it is redrawn
    prompt: str  # of the whole picture, and the result's caption; with only_masked_padding of the masked part alone
    denoising_strength: float = 0.75  # 0.05 to 1
    rounds: int = 1  # each starts from the picture of the round before
    seed: int | None = None
    count: int = 1
    mask_blur: int = 4  # pixels
    # The mask and this many pixels around it are drawn alone, enlarged; None: the whole picture is drawn.
    only_masked_padding: int | None = None
    of_original: bool = (
        False  # the original is redrawn instead, with the candidate's LoRAs, size, sampler and so on
    )


@dataclass(frozen=True)
class Drawn:
    """The mended candidates."""

    ids: list[str]  # of all candidates that were asked for, up for review
    new: int  # this many of them did not exist before


def draw_again(
    project: Project,
    catalog: Catalog,
    candidate_id: str,
    wanted: Redraw | Inpaint,
    report: Report = silent,
) -> Drawn:
    """Draw a candidate again, and put the results up for review in the candidate's generation.

    Raises:
        UserError: one line that names what does not fit; nothing is drawn.
    """
    with exclusively(project):
        candidate = candidates.candidate(catalog, project.name, candidate_id)
        _check_drawn(candidate)
        generation = Generation(project, catalog, candidate.generation)
        _check_base_models(project, candidate.shot)
        shots = _shots(generation, candidate, wanted)
        missing = missing_shots(generation, shots)
        if missing:
            files = _files(generation, missing)
            existing = len(generation.candidates(state=None))
            planned = [Planned(existing + index, shot) for index, shot in enumerate(missing)]
            draw_shots(generation, planned, files, report, len(shots))
        look_through(generation)
        ids = [shot.id for shot in shots]
        if isinstance(wanted, Inpaint) and wanted.only_masked_padding is not None:
            kept = captions.join(project.settings.project.tags) if wanted.of_original else candidate.caption
            _keep_caption(project, catalog, kept, ids)
        _put_up(project, catalog, ids)
    return Drawn(ids, len(missing))


def _check_drawn(candidate: Candidate) -> None:
    imported = candidate.shot.imported
    if imported is not None:
        raise UserError(
            f"candidate '{candidate.id}': it was imported from {imported.file}, and sid did not draw it; it cannot be "
            "drawn again or inpainted"
        )


def _check_base_models(project: Project, shot: Shot) -> None:
    """Refuse a base model that is not here and that only the candidate's picture names."""
    known = named_base_models(project)
    for name in {each.base_model for each in shot.passes} - known:
        specs.find(name, local_only=True)


def _shots(generation: Generation, candidate: Candidate, wanted: Redraw | Inpaint) -> list[Shot]:
    project, catalog, state = generation.project, generation.catalog, generation.state
    if not state.is_up_for_review:
        raise UserError(f"generation {candidate.generation}: it is not published yet ({state})")
    if not 1 <= wanted.count <= MOST:
        raise UserError(f"count {wanted.count}: draw 1 to {MOST} pictures at a time")
    if isinstance(wanted, Inpaint):
        return _inpainted(project, candidate, wanted)
    shot = _with_prompts(project, _with_lora(project, catalog, candidate.shot, wanted), wanted)
    shot = dataclasses.replace(_with_sampling(shot, wanted), mended_from=candidate.id)
    first = wanted.seed if wanted.seed is not None else shot.seed + (shot.id == candidate.id)
    shots = [shot.reseeded(first + number) for number in range(wanted.count)]
    if any(new_shot.id == candidate.id for new_shot in shots):
        raise UserError(
            f"candidate '{candidate.id}': that is the candidate itself; change something else, such as the seed"
        )
    return shots


def _with_lora(project: Project, catalog: Catalog, shot: Shot, wanted: Redraw) -> Shot:
    """Return the shot with another strength or snapshot of the first LoRA in all its passes."""
    if wanted.strength is None and wanted.snapshot is None:
        return shot
    if not shot.loras or shot.loras[0].sha256 or shot.loras[0].source:
        raise UserError("strength, snapshot: the candidate was not drawn with a snapshot of this project")
    if wanted.strength is not None and not LEAST_STRENGTH <= wanted.strength <= MOST_STRENGTH:
        raise UserError(
            f"strength {wanted.strength:g}: it must be from {LEAST_STRENGTH:g} to {MOST_STRENGTH:g}"
        )
    training_id = shot.loras[0].training_id
    training = trainings.find(catalog, project.name, training_id)
    if training is None:
        raise _no_training()
    epochs = [snapshot.epoch for snapshot in training.snapshots]
    if wanted.snapshot is not None and wanted.snapshot not in epochs:
        raise UserError(f"snapshot {wanted.snapshot}: its training has {epochs}; choose one of these")

    def changed(use: LoraUse) -> LoraUse:
        epoch = use.snapshot if wanted.snapshot is None else wanted.snapshot
        strength = use.strength if wanted.strength is None else wanted.strength
        name = lora_file_name(_EPOCH.sub("", use.name), epoch)
        te_strength = use.te_strength if wanted.strength is None else None
        return dataclasses.replace(use, name=name, snapshot=epoch, strength=strength, te_strength=te_strength)

    return shot.in_all_passes(
        lambda each: dataclasses.replace(each, loras=(changed(each.loras[0]), *each.loras[1:]))
    )


def _with_prompts(project: Project, shot: Shot, wanted: Redraw) -> Shot:
    """Return the shot with another prompt or negative prompt, and the LoRA files and embeddings that these name."""
    if wanted.prompt is None and wanted.negative_prompt is None:
        return shot
    changes: dict[str, Any] = {}
    if wanted.prompt is not None:
        changes["prompt"] = _prompt(wanted.prompt)
    if wanted.negative_prompt is not None:
        changes["negative_prompt"] = _joined(wanted.negative_prompt)
    changed = shot.in_all_passes(lambda each: dataclasses.replace(each, **changes))
    tags = changed.tags
    changed = dataclasses.replace(
        changed,
        eliminated=tuple(captions.without(shot.eliminated, tags)),
        added=tuple(tag for tag in shot.added if any(captions.same_tag(tag, known) for known in tags)),
    )
    [changed] = networks.with_networks(loading.hold(project.base_model), Shelf.of(project), [changed])
    return changed


def _with_sampling(shot: Shot, wanted: Redraw) -> Shot:
    """Return the shot with another CFG scale, number of steps or sampler in all its passes."""
    if wanted.cfg_scale is not None and not LEAST_CFG_SCALE <= wanted.cfg_scale <= MOST_CFG_SCALE:
        raise UserError(
            f"CFG scale {wanted.cfg_scale:g}: it must be from {LEAST_CFG_SCALE:g} to {MOST_CFG_SCALE:g}"
        )
    if wanted.steps is not None and not 1 <= wanted.steps <= MOST_STEPS:
        raise UserError(f"steps {wanted.steps}: it must be from 1 to {MOST_STEPS}")
    named = {"cfg_scale": wanted.cfg_scale, "steps": wanted.steps}
    changes: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if not changes and wanted.sampler is None and wanted.schedule is None:
        return shot
    changed = shot.in_all_passes(
        lambda each: dataclasses.replace(each, **changes, **_sampler_and_schedule(each, wanted))
    )
    for each in changed.passes:
        family = specs.family(specs.find(each.base_model))
        if family is None:  # a hub model that is not here yet
            continue
        samplers.check(each, family)
        for name, value in family.fixed.get("drawing", {}).items():
            if changes.get(name, value) != value:
                raise UserError(f"{name} {changes[name]}: {family.title} supports only {value}; leave it out")
        # As in settings.parse: no more than the model's 1000 noise levels.
        if each.start and each.steps / each.start.denoising_strength > 1000:
            most = int(1000 * each.start.denoising_strength)
            raise UserError(
                f"steps {each.steps}: too many at denoising strength {each.start.denoising_strength:g}; take at most "
                f"{most}"
            )
    return changed


def _sampler_and_schedule(shot: Shot, wanted: Redraw) -> dict[str, Any]:
    """Return what changes about a shot's sampler and schedule.

    A shot that was made before the schedule was a setting gets one if either changes: the one that its sampler's name
    includes, else Automatic.
    """
    if wanted.sampler is None and wanted.schedule is None:
        return {}
    sampler, included = sampler_and_schedule(shot.sampler if wanted.sampler is None else wanted.sampler)
    if wanted.sampler is not None and wanted.schedule is not None and included not in (None, wanted.schedule):
        raise UserError(
            f"sampler {wanted.sampler}: it contradicts schedule {wanted.schedule}; use sampler {sampler}"
        )
    return {"sampler": sampler, "schedule": wanted.schedule or included or shot.schedule or AUTOMATIC}


def _prompt(text: str) -> str:
    """Return a prompt without comments and empty tags."""
    prompt = _joined(text)
    if not prompt:
        raise UserError("prompt: it is empty; say what the picture shows")
    return prompt


def _joined(text: str) -> str:
    return captions.join(captions.parse(parse.without_comments(text)))


def _inpainted(project: Project, candidate: Candidate, wanted: Inpaint) -> list[Shot]:
    if not 0.05 <= wanted.denoising_strength <= 1:
        raise UserError(f"denoising strength {wanted.denoising_strength:g}: it must be from 0.05 to 1")
    if not 1 <= wanted.rounds <= MOST_ROUNDS:
        raise UserError(f"rounds {wanted.rounds}: it must be from 1 to {MOST_ROUNDS}")
    padding = wanted.only_masked_padding
    if padding is not None and not 0 <= padding <= MOST_PADDING:
        raise UserError(f"only masked padding {padding}: it must be from 0 to {MOST_PADDING} pixels")
    prompt = _prompt(wanted.prompt)
    if wanted.of_original:
        path, size = Path(project.original.name), images.size_of(project.original)
        whose = "the original"
    else:
        path, size = candidate.path, (candidate.shot.width, candidate.shot.height)
        _existing(project, candidate)
        whose = "the candidate"
    redrawn = PictureUse(path.as_posix(), sha256_of_file(project.folder / path))
    mask = Mask(wanted.mask_blur, picture=_mask(project, wanted.mask, size, whose), padding=padding)
    base = dataclasses.replace(
        candidate.shot, prompt=prompt, embeddings=(), recipe="inpaint", eliminated=(), added=(),
        mended_from="",
    )  # fmt: skip
    first = candidate.shot.seed + 1 if wanted.seed is None else wanted.seed
    shots = []
    for number in range(wanted.count):
        shot: Shot | None = None
        for round_number in range(wanted.rounds):
            start = Start(wanted.denoising_strength, picture=None if shot else redrawn, shot=shot, mask=mask)
            seed = (first + number * wanted.rounds + round_number) % 2**32
            shot = dataclasses.replace(base, seed=seed, start=start)
        assert shot is not None
        mended_from = "" if wanted.of_original else candidate.id
        shots.append(dataclasses.replace(shot, mended_from=mended_from))
    base_model = loading.hold(project.base_model)
    return networks.with_networks(base_model, Shelf.of(project), shots)


def _existing(project: Project, candidate: Candidate) -> None:
    path = reading.inside(project.folder, candidate.path, f"candidate '{candidate.id}'")
    if not path.is_file():
        raise UserError(
            f"candidate '{candidate.id}': its picture {path} is gone; `{command('run', project.name)}` draws it again"
        )


def _mask(project: Project, path: Path, size: tuple[int, int], whose: str) -> PictureUse:
    picture = images.open_picture(path)
    if picture.size != size:
        raise UserError(
            f"mask {path}: it is {picture.width}x{picture.height}, {whose} {size[0]}x{size[1]}; make them the "
            "same size"
        )
    if not any(picture.convert("L").histogram()[128:]):
        raise UserError(f"mask {path}: it has no white; only white parts are redrawn")
    absolute = path.resolve()
    inside = absolute.is_relative_to(project.folder.resolve())
    name = absolute.relative_to(project.folder.resolve()).as_posix() if inside else str(absolute)
    return PictureUse(name, sha256_of_file(path))


def _files(generation: Generation, shots: list[Shot]) -> dict[LoraUse, Path]:
    """Return the files of all LoRAs that the shots use."""
    project = generation.project
    uses = {use for shot in shots for each in shot.passes for use in each.loras}
    training_ids = {use.training_id for use in uses if not use.sha256 and not use.source}
    used = [trainings.find(generation.catalog, project.name, training_id) for training_id in training_ids]
    training = used[0] if used else generation.training()
    if training is None:
        raise _no_training()
    files = lora_paths(generation, training, shots)
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise UserError(
            f"LoRA {missing[0]}: the file is gone; `{command('run', project.name)}` trains it again"
        )
    return files


def _put_up(project: Project, catalog: Catalog, ids: list[str]) -> None:
    """Put the candidates up for review before all others, even duplicates and flawed ones."""
    drawn = [candidates.candidate(catalog, project.name, candidate_id) for candidate_id in ids]
    reviewable = {
        candidate.id
        for candidate in drawn
        if candidate.state is not CandidateState.BROKEN and make_thumbnail(project, candidate)
    }
    candidate_states.put_up(catalog, project.name, reviewable)


def _keep_caption(project: Project, catalog: Catalog, caption: str, ids: list[str]) -> None:
    """Give the results the caption of what they redraw: their prompt describes a part, not the whole picture."""
    in_dataset = {pick.candidate_id for pick in picks.picks(catalog, project.name)}
    for candidate_id in ids:
        is_edited = candidates.candidate(catalog, project.name, candidate_id).edited_caption is not None
        if candidate_id not in in_dataset and not is_edited:
            words = captions.without_syntax(caption)  # earlier versions took any text
            candidates.set_caption(catalog, project.name, candidate_id, captions.join(words))


def _no_training() -> UserError:
    return UserError(
        f"the training of the candidate's LoRA is not in the catalog; `{command('reindex')}` looks for its files"
    )
