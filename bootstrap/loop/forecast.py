"""What the next `sid run` would draw, without loading a model: `sid plan`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from bootstrap.catalog import Catalog, advices, candidates, generations
from bootstrap.catalog.states import CandidateState
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
from bootstrap.training import identity
from bootstrap.training.examples import examples_of, output_name, training_size

_CHANNELS = 3  # bytes of a pixel


@dataclass(frozen=True)
class Arm:
    """One of the things that a recipe's shots are shared out among, and why it gets as many as it does."""

    label: str
    shots: int
    odds: Odds  # what became of earlier shots


@dataclass(frozen=True)
class RecipeForecast:
    """What one recipe asks for."""

    kind: str
    count: int  # that project.toml asks for
    arms: list[
        Arm
    ]  # the recipe as a whole, its strengths and snapshots, its tags; none: nothing was learned yet
    shots: int  # that no recipe before it asks for
    there: int  # of those, already drawn
    strengths: list[float]
    snapshots: list[int] | None  # None: the adviser chooses them after training
    sizes: list[tuple[int, int]]  # width and height in pixels
    example: str  # a prompt


@dataclass(frozen=True)
class Forecast:
    """What the next run draws, how long it takes and how much disk it needs."""

    generation: int
    recipes: list[RecipeForecast]
    missing: int  # shots to draw
    seconds: float | None  # that drawing them takes; None: nothing was measured yet
    measured: int  # candidates that the time follows from
    disk: int  # bytes of the missing pictures
    disk_measured: bool  # else the most that they can have

    @property
    def shots(self) -> int:
        """All shots of all recipes."""
        return sum(one.shots for one in self.recipes)


@dataclass(frozen=True)
class _Drawn:
    """A candidate that is there."""

    shot: Shot
    bytes: int
    seconds: float | None


def of_next_run(project: Project, catalog: Catalog) -> Forecast:
    """Expand the recipes of the generation that runs next, and estimate from what was drawn before.

    Raises:
        UserError: a setting is wrong or a file is missing; or the sizes of a hub model are not known here yet.
    """
    settings, spec = project.settings_and_base
    found = inputs.gather(project, catalog)
    number = generations.next_number(catalog, project.name)
    shared = _drawn_with(Generation(project, catalog, number), spec, found)
    if settings.curation.adaptive:
        shared = replace(shared, tallies=generations.tallies_of(catalog, project.name, number))
    advice = advices.of_training(catalog, project.name, shared.training_id) if settings.asks_adviser else None
    chosen = with_advice(settings, advice) if advice else _with_some_snapshot(settings)
    drawn = _drawn(project, catalog)
    shelf = Shelf.of(project)
    vocabularies = _vocabularies(spec, shared.base_model_hash, found) if shelf.embeddings else {}
    seen: set[str] = set()
    missing: list[Shot] = []
    recipes = []
    slots = slots_of(chosen, shared)
    for asked, recipe, own in zip(settings.recipe, chosen.recipe, slots, strict=True):
        expanded = with_loras(shelf, list(shots_of(recipe, own, chosen, shared)))
        asked_for = with_embeddings(shelf, expanded, vocabularies)
        shots = list({one.id: one for one in asked_for if one.id not in seen}.values())
        seen |= {one.id for one in shots}
        left = [one for one in shots if one.id not in drawn]
        missing += left
        unknown = asked.snapshot == "auto" and advice is None
        arms = _arms(recipe, own, chosen, shared) if shared.tallies else []
        recipes.append(_recipe_forecast(recipe, arms, shots, len(shots) - len(left), unknown))
    times = [
        (one.seconds, _work(one.shot), one.shot.base_model_hash) for one in drawn.values() if one.seconds
    ]
    disk, disk_measured = _disk(missing, list(drawn.values()))
    return Forecast(number, recipes, len(missing), _seconds(missing, times), len(times), disk, disk_measured)


def _vocabularies(spec: specs.BaseModelSpec, model_hash: str, found: Inputs) -> dict[str, Vocabulary]:
    """What the base models read, by their hashes; one that is not on this machine is left out."""
    known = {model_hash: spec, **{its: specs.find(name) for name, its in found.base_models.items()}}
    read = {its: specs.vocabulary(one) for its, one in known.items()}
    return {its: one for its, one in read.items() if one}


def _arms(recipe: Recipe, slots: Sequence[Slot], settings: Settings, shared: DrawnWith) -> list[Arm]:
    """What a recipe's shots are shared out among, each with its earlier verdicts."""
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
    told = [f"without {tag}" for tag in idea.eliminated] + [f"with {tag}" for tag in idea.added]
    return ", ".join(told + size) or "the whole caption"


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


def _drawn_with(planned: Generation, spec: specs.BaseModelSpec, found: Inputs) -> DrawnWith:
    project = planned.project
    geometry = specs.geometry(spec)
    if geometry is None:
        raise UserError(
            f"base model {spec.name}: it is not on this machine yet, so sizes are unknown; `sid run` fetches it"
        )
    width, height = training_size(project, geometry)
    drawing = project.settings.drawing
    training_id, trained_in = _training(planned, spec, geometry)
    return DrawnWith(
        spec.name, specs.content_hash(spec), training_id, output_name(project, trained_in), planned.number,
        drawing.width or width, drawing.height or height, geometry.size_step, found, Shelf.of(project).wildcards,
    )  # fmt: skip


def _training(planned: Generation, spec: specs.BaseModelSpec, geometry: specs.Geometry) -> tuple[str, int]:
    """The id of the training that the generation draws with, and the generation that trained it."""
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
    training_id = identity.training_id(examples, specs.content_hash(spec), settings)
    same = training is not None and training.training_id == training_id
    return training_id, training.generation if training is not None and same else number


def _with_some_snapshot(settings: Settings) -> Settings:
    """The settings with the last snapshot for "auto": as many shots, whichever the adviser will choose."""
    last = settings.training.snapshots[-1:]
    recipes = [
        recipe.model_copy(update={"snapshot": last}) if recipe.snapshot == "auto" else recipe
        for recipe in settings.recipe
    ]
    return settings.model_copy(update={"recipe": recipes})


def _drawn(project: Project, catalog: Catalog) -> dict[str, _Drawn]:
    """The project's candidates that are there, by id."""
    drawn = {}
    for candidate in candidates.candidates(catalog, project.name, state=None):
        path = project.folder / candidate.path
        if candidate.state is not CandidateState.BROKEN and path.is_file():
            drawn[candidate.id] = _Drawn(candidate.shot, path.stat().st_size, candidate.seconds)
    return drawn


def _work(shot: Shot) -> float:
    """What drawing a shot costs, in pixels times steps, twice with a negative prompt, over all its passes."""
    return sum(one.width * one.height * one.steps * (2 if one.cfg_scale > 1 else 1) for one in shot.passes)


def _seconds(missing: Sequence[Shot], times: Sequence[tuple[float, float, str]]) -> float | None:
    """The time that shots take at the speed of earlier ones with the same base model; None: there are none."""
    total = 0.0
    for model in {shot.base_model_hash for shot in missing}:
        mine = [(seconds, work) for seconds, work, drawn_by in times if drawn_by == model]
        if not mine:
            return None
        speed = sum(work for _, work in mine) / sum(seconds for seconds, _ in mine)
        total += sum(_work(shot) for shot in missing if shot.base_model_hash == model) / speed
    return total


def _disk(missing: Iterable[Shot], drawn: Sequence[_Drawn]) -> tuple[int, bool]:
    """Bytes of the missing pictures: by the mean of those that are there, else uncompressed."""
    pixels = sum(shot.width * shot.height for shot in missing)
    if not drawn:
        return pixels * _CHANNELS, False
    return round(pixels * mean(one.bytes / (one.shot.width * one.shot.height) for one in drawn)), True


def render(name: str, forecast: Forecast) -> str:
    """Return a forecast as text for a terminal."""
    lines = [f"{name}, generation {forecast.generation}"]
    for one in forecast.recipes:
        snapshots = "auto" if one.snapshots is None else ", ".join(map(str, one.snapshots))
        sizes = ", ".join(f"{width}x{height}" for width, height in one.sizes)
        lines += [
            f"  {one.kind:<9}  {one.shots:>5} shots, {one.there} of them there; "
            f"strength {', '.join(f'{strength:g}' for strength in one.strengths)}; snapshot {snapshots}; {sizes}",
            f"             such as: {one.example}",
        ]
        lines += _reasons(one)
    lines.append(f"in all: {forecast.shots} shots, {forecast.missing} to draw")
    if forecast.missing:
        lines.append(f"time: {_time(forecast)}")
        how = (
            "at the mean size of those that are there" if forecast.disk_measured else "at most: uncompressed"
        )
        lines.append(f"disk: {_size(forecast.disk)} ({how})")
    return "\n".join(lines)


def _reasons(one: RecipeForecast) -> list[str]:
    """Why it gets more or fewer shots than it asks for, and what they are."""
    if not one.arms:
        return []
    whole, *parts = one.arms
    lines = [f"             {one.count} asked for; {_became(whole.odds)}"]
    return lines + [f"               {arm.label}: {arm.shots} shots; {_became(arm.odds)}" for arm in parts]


def _became(odds: Odds) -> str:
    if not odds.spent:
        return "not tried yet"
    return f"{odds.picks} of {odds.spent} earlier ones became picks ({odds.picks / odds.spent:.0%})"


def _time(forecast: Forecast) -> str:
    if forecast.seconds is None:
        return "unknown, nothing was drawn with this base model yet"
    minutes, seconds = divmod(round(forecast.seconds), 60)
    told = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"about {told}, by the {forecast.measured} candidates drawn before; training not counted"


def _size(count: float) -> str:
    units = ["B", "kB", "MB", "GB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        del units[0]
    return f"{count:.3g} {units[0]}"
