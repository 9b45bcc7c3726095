"""Bring pictures in: they become candidates of the present generation, and go through curation like drawn ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from bootstrap import captions, images
from bootstrap.catalog import Catalog, candidate_states, candidates, generations
from bootstrap.catalog.candidate_states import NewCandidate
from bootstrap.catalog.states import GenerationState
from bootstrap.curation import publishing, scoring
from bootstrap.curation.examining import Examiner
from bootstrap.drawing import infotext, infotext_unused
from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import of_picture
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.loop import generation as loop
from bootstrap.loop import import_sources
from bootstrap.loop.import_sources import Source
from bootstrap.models import specs
from bootstrap.progress import Progress, Report, silent
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively
from bootstrap.shot_limits import LEAST_CFG_SCALE, MOST_CFG_SCALE, MOST_STEPS
from bootstrap.shots import Imported, Shot
from bootstrap.tag_scores import Tagger
from bootstrap.training import examples

RECIPE = "import"  # in place of a recipe's name
_BATCH = 16  # pictures per commit: a killed import loses at most these


@dataclass
class Result:
    """What an import did."""

    generation: int = 0
    new: list[str] = field(default_factory=list)  # ids of the candidates
    known: int = 0  # pictures that the project had already
    duplicates: int = 0  # of the new ones
    without_caption: int = 0  # new ones that took the project's caption
    refused: list[str] = field(default_factory=list)  # one line for each picture that cannot be read
    not_honoured: list[str] = field(
        default_factory=list
    )  # names of what their infotext says and sid does not have
    first_frames: int = 0  # new ones from files of several frames or pages, of which the first was taken
    cut_off: str = ""  # a line about new ones that lose much in training
    is_up: bool = True  # whether the new ones are up for review now


@dataclass(frozen=True)
class _Read:
    """A picture that was read, and what its file says of it."""

    shot: Shot
    picture: Image.Image
    text: str  # the infotext that its file carries, or ours


def import_pictures(
    project: Project, catalog: Catalog, paths: Sequence[Path], note: str = "", report: Report = silent
) -> Result:
    """Import pictures as candidates of the present generation, and put them up for review.

    A picture's caption is the file beside it (.txt or .caption), else the prompt that it carries, else what the tagger
    sees, else the project's. A picture that the project has already is passed over, so an interrupted import goes on
    when it is called again.

    Args:
        paths: pictures, folders, zip archives.
        note: kept with each picture, such as its licence.

    Raises:
        UserError: a path is missing, an archive is damaged, no picture can be read, or a generation is running.
    """
    sources = import_sources.found(paths)
    with exclusively(project):
        generation = Generation(project, catalog, generations.begin(catalog, project.name))
        result = Result(generation.number, is_up=not generation.state.is_begun)
        examiner, folder = Examiner(project), generation.candidates_folder
        known = candidates.ids(catalog, project.name)
        sizes = list[tuple[str, tuple[int, int]]]()
        turn, batch = len(generation.candidates(state=None)), list[_Read]()

        def keep() -> None:
            nonlocal turn
            for each in batch:
                infotext.save_png(each.picture, folder / f"{each.shot.id}.png", each.shot, each.text)
            measured = [each.stored for each in examiner.examine([each.picture for each in batch])]
            relative = folder.relative_to(project.folder)
            rows = [
                NewCandidate(
                    each.shot.id, each.shot, relative / f"{each.shot.id}.png", turn + place, None, of_picture
                )
                for place, (each, of_picture) in enumerate(zip(batch, measured, strict=True))
            ]
            candidate_states.add_drawn(catalog, project.name, generation.number, rows)
            turn += len(batch)
            result.new += [each.shot.id for each in batch]
            batch.clear()

        report(Progress("import", 0, len(sources), "pictures"))
        for number, read in enumerate(_read(project, sources, note, known, result), 1):
            if read is not None:
                batch.append(read)
                sizes.append((sources[number - 1].file, read.picture.size))
            if len(batch) == _BATCH:
                keep()
            report(Progress("import", number, len(sources), "pictures"))
        keep()
        if result.is_up:
            _put_up(generation, report)
        new = set(result.new)
        result.duplicates = sum(
            candidate.duplicate_of is not None
            for candidate in generation.candidates(state=None)
            if candidate.id in new
        )
    geometry = specs.geometry(project.base_model)
    if geometry:
        result.cut_off = examples.cut_off_line(project, geometry, sizes) or ""
    if len(result.refused) == len(sources):
        raise UserError(
            f"import: none of {len(sources)} pictures can be read; the first: {result.refused[0]}"
        )
    return result


def _put_up(generation: Generation, report: Report) -> None:
    """Curate the new candidates and publish them."""
    if not generation.state.is_up_for_review:
        generation.set_state(GenerationState.CURATING)
    loop.look_through(generation, report)
    publishing.publish(generation)
    if not generation.state.is_up_for_review:
        generation.set_state(GenerationState.PUBLISHED)


def _read(
    project: Project, sources: Sequence[Source], note: str, known: set[str], result: Result
) -> Iterator[_Read | None]:
    """Yield each picture in turn; None for one that the project has, or that cannot be read, which `result` counts."""
    tagger = scoring.open_tagger_of(project)
    seen = set(known)
    for source in sources:
        try:
            with import_sources.opened(source, project.folder) as path:
                read = _one(project, source, path, note, tagger, seen, result)
        except UserError as error:
            result.refused.append(f"{source.name}: {error}")
            yield None
            continue
        if read is None:
            result.known += 1
        else:
            seen.add(read.shot.id)
        yield read


def _one(
    project: Project,
    source: Source,
    path: Path,
    note: str,
    tagger: Tagger | None,
    seen: set[str],
    result: Result,
) -> _Read | None:
    imported = Imported(sha256_of_file(path), source.file[-200:], note=note)
    stand_in = Shot("", "", 0, 1, "unknown", 1.0, 32, 32, "", "", (), imported=imported)
    if stand_in.id in seen:
        return None
    picture = images.open_picture(path)
    result.first_frames += images.has_more_frames(path)
    found = of_picture.read(path)
    carried = found.parameters or Infotext("", "", {})
    text = found.texts.get(infotext.PARAMETERS_KEY, "")
    tags = _tags(source, carried, picture, tagger)
    if not tags:
        tags = project.settings.project.tags
        result.without_caption += 1
    names = [name for name in infotext_unused.unused(carried) if name not in result.not_honoured]
    result.not_honoured += names
    shot = _shot(picture.size, tags, carried, imported)
    return _Read(shot, picture, text or infotext.write(shot, "", {}))


def _tags(source: Source, carried: Infotext, picture: Image.Image, tagger: Tagger | None) -> list[str]:
    """Return the caption's tags; none if neither a file nor the picture nor a tagger gives any."""
    beside = import_sources.caption_of(source)
    if beside:
        try:
            captions.check_length(beside, "its caption")
        except ValueError as error:
            raise UserError(str(error)) from None
        return captions.without_syntax(beside)
    if carried.prompt:
        return captions.of_prompt(carried.prompt)
    return [scored.tag for scored in tagger.read([picture])[0]] if tagger else []


def _shot(size: tuple[int, int], tags: Sequence[str], carried: Infotext, imported: Imported) -> Shot:
    """Return the shot of an imported picture, with the sampling parameters that its file states, as far as they fit."""
    fields = carried.fields
    return Shot(
        prompt=captions.as_prompt(tags),
        negative_prompt=carried.negative_prompt[:20_000],
        seed=int(_number(fields.get("Seed"), 0, 0, 2**32 - 1)),
        steps=int(_number(fields.get("Steps"), 1, 1, MOST_STEPS)),
        sampler=fields.get("Sampler", "")[:64] or "unknown",
        cfg_scale=_number(fields.get("CFG scale"), LEAST_CFG_SCALE, LEAST_CFG_SCALE, MOST_CFG_SCALE),
        width=size[0],
        height=size[1],
        base_model=fields.get("Model", "")[:200],
        base_model_hash="",
        loras=(),
        recipe=RECIPE,
        imported=Imported(
            imported.sha256,
            imported.file,
            carried.tool or _tool(fields),
            fields.get("Model", "")[:200],
            imported.note,
        ),
    )


def _number(text: str | None, otherwise: float, least: float, most: float) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return otherwise
    return value if least <= value <= most else otherwise


def _tool(fields: dict[str, str]) -> str:
    """Return the tool that made a picture, by the version that AUTOMATIC1111's and Forge's infotext end with."""
    version = fields.get("Version", "")
    if not fields:
        return ""
    if version.startswith("f"):
        return "Forge"
    return "sid" if version == "sid" else "AUTOMATIC1111"
