"""Forecast what the next `sid run` draws, without loading a model (`sid plan`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from bootstrap import reading
from bootstrap.catalog import Catalog, advices, candidates, generations
from bootstrap.catalog.states import CandidateState
from bootstrap.commands import command
from bootstrap.dataset import class_pictures
from bootstrap.errors import UserError
from bootstrap.models import specs
from bootstrap.models.family import Vocabulary
from bootstrap.planning import inputs
from bootstrap.planning.allotment import Odds, Slot, odds_of, pairs_of
from bootstrap.planning.expand import DrawnWith, shots_of, slots_of, with_advice
from bootstrap.planning.extra_networks import Shelf
from bootstrap.planning.named_networks import with_embeddings, with_loras
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.project.settings import Settings
from bootstrap.recipes.ideas import Idea
from bootstrap.recipes.needs import Inputs
from bootstrap.recipes.recipe import Recipe
from bootstrap.shots import Shot
from bootstrap.training.examples import examples_of, id_of, output_name, training_size

_CHANNELS = 3  # bytes of a pixel


@dataclass(frozen=True)
class Arm:
    """The share that a strength and snapshot, or an idea, gets of a recipe's shots, and the verdicts behind it."""

    label: str
    shots: int
    odds: Odds  # of earlier shots


@dataclass(frozen=True)
class RecipeForecast:
    """What one recipe draws."""

    kind: str
    count: int  # in project.toml
    # The whole recipe, then its strengths and snapshots, then its ideas; empty: there are no verdicts to learn from.
    arms: list[Arm]
    shots: int  # without those that a recipe before it asks for
    there: int  # of these, already drawn
    strengths: list[float]
    snapshots: list[int] | None  # None: the adviser chooses one after training
    sizes: list[tuple[int, int]]  # width and height in pixels
    example: str  # its first prompt


@dataclass(frozen=True)
class Forecast:
    """What the next run draws, and estimates of its time and disk space."""

    generation: int
    recipes: list[RecipeForecast]
    missing: int  # shots to draw
    seconds: float | None  # to draw the missing shots; None: no earlier candidate to estimate from
    measured: int  # candidates that the time is estimated from
    disk: int  # bytes of the missing pictures
    disk_measured: bool  # whether `disk` is an estimate from earlier pictures; else it is an upper limit

    @property
    def shots(self) -> int:
        """The number of shots of all recipes."""
        return sum(recipe.shots for recipe in self.recipes)


@dataclass(frozen=True)
class _Drawn:
    """A candidate whose picture exists."""

    shot: Shot
    bytes: int
    seconds: float | None


def of_next_run(project: Project, catalog: Catalog) -> Forecast:
    """Expand the recipes of the generation that runs next, and estimate time and disk from earlier candidates.

    Raises:
        UserError: a setting is wrong or a file is missing, or a hub model is not downloaded yet, so sizes are unknown.
    """
    settings, spec = project.settings_and_base
    recipe_inputs = inputs.gather(project, catalog)
    number = generations.next_number(catalog, project.name)
    shared = _drawn_with(Generation(project, catalog, number), spec, recipe_inputs)
    shared = replace(shared, older_rule=candidates.began_by_older_rule(catalog, project.name, number))
    if settings.curation.adaptive:
        shared = replace(shared, tallies=generations.tallies_of(catalog, project.name, number))
    advice = advices.of_training(catalog, project.name, shared.training_id) if settings.asks_adviser else None
    chosen = with_advice(settings, advice) if advice else _with_some_snapshot(settings)
    drawn = _drawn(project, catalog)
    shelf = Shelf.of(project)
    may_name = shelf.embeddings or shelf.loras or any(use.sha256 for use in recipe_inputs.loras.values())
    vocabularies = _vocabularies(spec, shared.base_model_hash, recipe_inputs) if may_name else {}
    seen: set[str] = set()
    missing: list[Shot] = []
    recipes = []
    slots = slots_of(chosen, shared)
    for as_written, recipe, recipe_slots in zip(settings.recipe, chosen.recipe, slots, strict=True):
        expanded = with_loras(shelf, list(shots_of(recipe, recipe_slots, chosen, shared)))
        completed = with_embeddings(shelf, expanded, vocabularies)
        shots = list({shot.id: shot for shot in completed if shot.id not in seen}.values())
        seen |= {shot.id for shot in shots}
        undrawn = [shot for shot in shots if shot.id not in drawn]
        missing += undrawn
        unknown = as_written.snapshot == "auto" and advice is None
        arms = _arms(recipe, recipe_slots, chosen, shared) if shared.tallies else []
        recipes.append(_recipe_forecast(recipe, arms, shots, len(shots) - len(undrawn), unknown))
    times = [
        (candidate.seconds, _work(candidate.shot), candidate.shot.base_model_hash)
        for candidate in drawn.values()
        if candidate.seconds
    ]
    disk, disk_measured = _disk(missing, list(drawn.values()))
    return Forecast(number, recipes, len(missing), _seconds(missing, times), len(times), disk, disk_measured)


def _vocabularies(spec: specs.BaseModelSpec, model_hash: str, recipe_inputs: Inputs) -> dict[str, Vocabulary]:
    """Return the vocabularies of the base models, by hash, without models that are not on this machine."""
    by_hash = {model_hash: spec}
    by_hash |= {other_hash: specs.find(name) for name, other_hash in recipe_inputs.base_models.items()}
    vocabularies = {each_hash: specs.vocabulary(each_spec) for each_hash, each_spec in by_hash.items()}
    return {each_hash: vocabulary for each_hash, vocabulary in vocabularies.items() if vocabulary}


def _arms(recipe: Recipe, slots: Sequence[Slot], settings: Settings, shared: DrawnWith) -> list[Arm]:
    """Return what a recipe's shots are shared out among, each with its earlier verdicts."""
    ideas = recipe.ideas(settings.project.tags, (shared.width, shared.height), shared.size_step)
    arms = [Arm("all", len(slots), odds_of(recipe, ideas, shared.tallies))]
    pairs = pairs_of(recipe)
    if len(pairs) > 1:
        for strength, snapshot in pairs:
            shots = sum((slot.strength, slot.snapshot) == (strength, snapshot) for slot in slots)
            odds = odds_of(recipe, ideas, shared.tallies, (strength, snapshot))
            arms.append(Arm(f"strength {strength:g}, snapshot {snapshot}", shots, odds))
    by_label: dict[str, list[int]] = {}  # quotas name one idea several times
    for number, idea in enumerate(ideas):
        by_label.setdefault(_label(idea), []).append(number)
    if len(by_label) > 1:
        for label, numbers in by_label.items():
            shots = sum(slot.idea in numbers for slot in slots)
            arms.append(Arm(label, shots, odds_of(recipe, [ideas[numbers[0]]], shared.tallies)))
    return arms


def _label(idea: Idea) -> str:
    size = [f"{idea.size[0]}x{idea.size[1]}"] if idea.size else []
    changes = [f"without {tag}" for tag in idea.eliminated] + [f"with {tag}" for tag in idea.added]
    return ", ".join(changes + size) or "the whole caption"


def _recipe_forecast(
    recipe: Recipe, arms: list[Arm], shots: Sequence[Shot], there: int, unknown: bool
) -> RecipeForecast:
    return RecipeForecast(
        recipe.kind,
        recipe.count,
        arms,
        len(shots),
        there,
        list(recipe.strength),
        None if unknown or recipe.snapshot == "auto" else list(recipe.snapshot),
        list(dict.fromkeys((shot.width, shot.height) for shot in shots)),
        shots[0].prompt if shots else "",
    )


def _drawn_with(planned: Generation, spec: specs.BaseModelSpec, recipe_inputs: Inputs) -> DrawnWith:
    project = planned.project
    geometry = geometry_of(project, spec)
    width, height = training_size(project, geometry)
    drawing = project.settings.drawing
    training_id, trained_in = _training(planned, spec, geometry)
    return DrawnWith(
        spec.name, specs.content_hash(spec), training_id, output_name(project, trained_in), planned.number,
        drawing.width or width, drawing.height or height, geometry.size_step, recipe_inputs,
        Shelf.of(project).wildcards,
    )  # fmt: skip


def geometry_of(project: Project, spec: specs.BaseModelSpec) -> specs.Geometry:
    """Return the sizes that a project's base model takes.

    Raises:
        UserError: it is not downloaded yet.
    """
    geometry = specs.geometry(spec)
    if geometry is None:
        raise UserError(
            f"base model {spec.name}: it is not on this machine yet, so sizes are unknown; "
            f"`{command('run', project.name)}` downloads it"
        )
    return geometry


def _training(planned: Generation, spec: specs.BaseModelSpec, geometry: specs.Geometry) -> tuple[str, int]:
    """Return the id of the training that the generation draws with, and the generation that trained it."""
    project, catalog, number = planned.project, planned.catalog, planned.number
    settings = project.settings.training
    begun = number <= (generations.latest(catalog, project.name) or 0)
    training = planned.training() if begun else None
    if (
        settings.class_tokens is not None and settings.reg_data_dir is None
    ):  # its pictures may not be drawn yet
        return (training.training_id, training.generation) if training else ("", number)
    of_class = class_pictures.in_folder(project)
    examples = examples_of(project, catalog, geometry, list(of_class))
    training_id = id_of(examples, spec, specs.content_hash(spec), settings)
    same = training is not None and training.training_id == training_id
    return training_id, training.generation if training is not None and same else number


def _with_some_snapshot(settings: Settings) -> Settings:
    """Return the settings with the last snapshot for "auto"; the adviser's choice gives as many shots."""
    last = settings.training.snapshots[-1:]
    recipes = [
        recipe.model_copy(update={"snapshot": last}) if recipe.snapshot == "auto" else recipe
        for recipe in settings.recipe
    ]
    return settings.model_copy(update={"recipe": recipes})


def _drawn(project: Project, catalog: Catalog) -> dict[str, _Drawn]:
    """Return the project's candidates whose pictures exist, by id."""
    drawn = {}
    for candidate in candidates.candidates(catalog, project.name, state=None):
        if candidate.state is CandidateState.BROKEN:
            continue
        path = reading.inside(project.folder, candidate.path, f"candidate '{candidate.id}'")
        if path.is_file():
            drawn[candidate.id] = _Drawn(candidate.shot, path.stat().st_size, candidate.seconds)
    return drawn


def _work(shot: Shot) -> float:
    """Return the cost of a shot: pixels times steps, twice that with guidance, summed over its passes."""
    return sum(
        each.width * each.height * each.steps * (2 if each.cfg_scale > 1 else 1) for each in shot.passes
    )


def _seconds(missing: Sequence[Shot], times: Sequence[tuple[float, float, str]]) -> float | None:
    """Estimate the seconds that shots take from earlier ones of the same base model; None: there are none."""
    total = 0.0
    for model in {shot.base_model_hash for shot in missing}:
        of_model = [(seconds, work) for seconds, work, drawn_by in times if drawn_by == model]
        if not of_model:
            return None
        speed = sum(work for _, work in of_model) / sum(seconds for seconds, _ in of_model)
        total += sum(_work(shot) for shot in missing if shot.base_model_hash == model) / speed
    return total


def _disk(missing: Iterable[Shot], drawn: Sequence[_Drawn]) -> tuple[int, bool]:
    """Return the bytes of the missing pictures, at the mean of the existing ones (True), else uncompressed (False)."""
    pixels = sum(shot.width * shot.height for shot in missing)
    if not drawn:
        return pixels * _CHANNELS, False
    bytes_per_pixel = mean(
        candidate.bytes / (candidate.shot.width * candidate.shot.height) for candidate in drawn
    )
    return round(pixels * bytes_per_pixel), True


def render(name: str, forecast: Forecast) -> str:
    """Return a forecast as text for a terminal."""
    lines = [f"{name}, generation {forecast.generation}"]
    for recipe in forecast.recipes:
        snapshots = "auto" if recipe.snapshots is None else ", ".join(map(str, recipe.snapshots))
        sizes = ", ".join(f"{width}x{height}" for width, height in recipe.sizes)
        lines += [
            f"  {recipe.kind:<9}  {recipe.shots:>5} shots, {recipe.there} of them there; "
            f"strength {', '.join(f'{strength:g}' for strength in recipe.strengths)}; snapshot {snapshots}; {sizes}",
            f"             such as: {recipe.example}",
        ]
        lines += _reasons(recipe)
    lines.append(f"in all: {forecast.shots} shots, {forecast.missing} to draw")
    if forecast.missing:
        lines.append(f"time: {_time(forecast)}")
        how = (
            "at the mean size of those that are there" if forecast.disk_measured else "at most: uncompressed"
        )
        lines.append(f"disk: {_size(forecast.disk)} ({how})")
    return "\n".join(lines)


def _reasons(recipe: RecipeForecast) -> list[str]:
    """Return lines that say why a recipe gets more or fewer shots than it asks for, and how they are shared out."""
    if not recipe.arms:
        return []
    whole, *parts = recipe.arms
    lines = [f"             {recipe.count} asked for; {_pick_rate(whole.odds)}"]
    return lines + [f"               {arm.label}: {arm.shots} shots; {_pick_rate(arm.odds)}" for arm in parts]


def _pick_rate(odds: Odds) -> str:
    if not odds.spent:
        return "not tried yet"
    return f"{odds.picks} of {odds.spent} earlier ones became picks ({odds.picks / odds.spent:.0%})"


def _time(forecast: Forecast) -> str:
    if forecast.seconds is None:
        return "unknown, nothing was drawn with this base model yet"
    return f"{duration(forecast.seconds)}, by the {forecast.measured} candidates drawn before; training not counted"


def duration(seconds: float) -> str:
    """Return an estimated time, such as "about 2 min 5 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"about {hours} h {minutes} min"
    return f"about {minutes} min {rest} s" if minutes else f"about {rest} s"


def _size(count: float) -> str:
    units = ["B", "kB", "MB", "GB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        del units[0]
    return f"{count:.3g} {units[0]}"
