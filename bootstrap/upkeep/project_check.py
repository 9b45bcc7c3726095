"""What the doctor looks at in one project: its files, its rows in the catalog, and whether they agree."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bootstrap import images
from bootstrap.catalog import (
    Catalog,
    candidate_states,
    candidates,
    generations,
    picks,
    sheets,
    trainings,
)
from bootstrap.catalog.candidates import Candidate
from bootstrap.catalog.picks import Pick
from bootstrap.catalog.sheets import Sheet
from bootstrap.catalog.states import CandidateState
from bootstrap.catalog.trainings import Training
from bootstrap.commands import command
from bootstrap.dataset import class_pictures, pick_files
from bootstrap.errors import UserError, reason_of
from bootstrap.files import TEMPORARY_PREFIX, copy_file, move, remove_file, sha256_of_file, write_text
from bootstrap.pictures.thumbnails import make_thumbnail
from bootstrap.planning import inputs
from bootstrap.progress import Report
from bootstrap.project import running
from bootstrap.project.projects import Project
from bootstrap.upkeep import contents, interruptions, reindex
from bootstrap.upkeep.contents import Looked
from bootstrap.upkeep.finding import Finding


@dataclass(frozen=True)
class _Rows:
    """What the catalog knows of a project."""

    candidates: list[Candidate]  # without the broken ones
    picks: list[Pick]
    trainings: list[Training]
    last_training: Training | None  # that the latest generation with one draws with
    sheets: list[Sheet]


def examine(project: Project, catalog: Catalog, report: Report) -> Iterator[Finding]:
    """Check one project, the cheapest checks first; what a run may be changing is left out while it runs.

    Make each repair before you take the next finding: a later one may build on an earlier one.
    """
    first_to_fix = [_first_to_fix(project, problem) for problem in _unreadable(project)]
    yield from first_to_fix
    if running.is_running(project):
        return
    try:
        if not first_to_fix:
            yield from _named_files(project, catalog)
        yield from interruptions.in_project(project, catalog)
        yield from _files_without_rows(project, catalog)
        rows = _read(project, catalog)
    except UserError:
        raise
    except Exception as error:  # a row may hold anything: a disk, or a hand, has changed it
        yield Finding(
            f"project '{project.name}': its rows in the catalog cannot be read ({reason_of(error)})",
            f"move the catalog's file away (keep it) and run `{command('reindex')}`, which builds a new one from the "
            "folders",
        )
        return
    yield from _paths_outside(project, rows)
    yield from _original(project, rows)
    yield from _snapshots(project, rows)
    known = {project.folder / candidate.path for candidate in rows.candidates}
    known |= {project.folder / pick.path for pick in rows.picks}
    thumbnails = {project.folder / one.thumbnail for one in rows.candidates}
    looked = contents.look(
        (path for path in sorted(known | thumbnails) if path.is_file() and _is_inside(project, path)), report
    )
    yield from _candidates(project, catalog, rows, looked)
    if not pick_files.is_interrupted(
        project
    ):  # otherwise files and catalog differ, which is reported already
        yield from _picks(project, rows, looked)
    yield from _thumbnails(project, rows, looked)
    yield from _sheets(project, catalog, rows)


def _read(project: Project, catalog: Catalog) -> _Rows:
    known = candidates.candidates(catalog, project.name, state=None)
    numbers = [status.number for status in generations.statuses(catalog, project.name)]
    drawn_with = (trainings.of_generation(catalog, project.name, number) for number in reversed(numbers))
    return _Rows(
        [candidate for candidate in known if candidate.state is not CandidateState.BROKEN],
        picks.picks(catalog, project.name),
        trainings.of_project(catalog, project.name),
        next((training for training in drawn_with if training is not None), None),
        sheets.of_project(catalog, project.name),
    )


def _is_inside(project: Project, path: Path) -> bool:
    return path.resolve().is_relative_to(project.folder.resolve())


def _named(paths: Sequence[Path], folder: Path) -> str:
    """Return the first path inside a folder, and how many more there are."""
    first = paths[0].relative_to(folder) if paths[0].is_relative_to(folder) else paths[0]
    return first.as_posix() + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _unreadable(project: Project) -> list[str]:
    """Return what is wrong with the settings and the original."""
    return [*_refused(lambda: project.settings), *_refused(lambda: images.open_picture(project.original))]


def _named_files(project: Project, catalog: Catalog) -> Iterator[Finding]:
    """Check the files and models that the settings name."""
    for look_up in (lambda: inputs.gather(project, catalog), lambda: class_pictures.check(project)):
        for problem in _refused(look_up):
            yield _first_to_fix(project, problem)


def _refused(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except UserError as error:
        return [str(error)]
    return []


def _first_to_fix(project: Project, problem: str) -> Finding:
    return Finding(f"project '{project.name}': {problem}", "fix it; no generation can run before that")


def _files_without_rows(project: Project, catalog: Catalog) -> Iterator[Finding]:
    if generations.being_restored(catalog, project.name):
        yield Finding(
            f"project '{project.name}': `sid reindex` was stopped before it had finished",
            f"finish it (`{command('reindex', project.name)}`)",
            partial(_reindex, project, catalog),
        )
        return
    unknown = reindex.unknown_candidates(project, catalog)
    if unknown:
        count = sum(map(len, unknown.values()))
        yield Finding(
            f"project '{project.name}': {count} candidates in generations {', '.join(map(str, unknown))} are not in "
            "the catalog",
            f"add them to it (`{command('reindex', project.name)}`)",
            partial(_reindex, project, catalog),
        )
    snapshots = reindex.unknown_snapshots(project, catalog)
    if snapshots:
        yield Finding(
            f"project '{project.name}': the catalog does not know the LoRA {_named(snapshots, project.folder)}",
            f"add it to the catalog (`{command('reindex', project.name)}`)",
            partial(_reindex, project, catalog),
        )
    in_dataset = {project.folder / pick.path for pick in picks.picks(catalog, project.name)}
    strangers = [
        path
        for path in sorted(project.dataset_folder.glob("*.png"))
        if path not in in_dataset and not path.name.startswith(TEMPORARY_PREFIX)
    ]
    if strangers:
        yield Finding(
            f"project '{project.name}': {_named(strangers, project.folder)} is in the dataset's folder, but no pick, "
            "so no training sees it",
            f"accept its candidate and run `{command('grow', project.name)}`, or move the file elsewhere",
        )


def _reindex(project: Project, catalog: Catalog) -> str:
    restored = reindex.reindex(project, catalog)
    return (
        f"'{project.name}': added {restored.generations} generations, {restored.snapshots} snapshots, "
        f"{restored.candidates} candidates and {restored.picks} picks to the catalog"
    )


def _paths_outside(project: Project, rows: _Rows) -> Iterator[Finding]:
    paths = [
        *(candidate.path for candidate in rows.candidates),
        *(pick.path for pick in rows.picks),
        *(snapshot.path for training in rows.trainings for snapshot in training.snapshots),
        *(sheet.path for sheet in rows.sheets),
    ]
    outside = [path for path in paths if not _is_inside(project, project.folder / path)]
    if outside:
        yield Finding(
            f"project '{project.name}': the catalog names files outside of the project's folder: "
            f"{_named(outside, project.folder)}",
            f"such a catalog was changed by hand or comes from elsewhere; move it away and run `{command('reindex')}`",
        )


def _original(project: Project, rows: _Rows) -> Iterator[Finding]:
    """Compare the original with the one that the latest generation was trained on."""
    last = rows.last_training
    if last is None or not last.dataset or not project.original.is_file():
        return
    if sha256_of_file(project.original) != last.dataset[0]["picture"]:
        yield Finding(
            f"project '{project.name}': {project.original.name} is not the picture that generation {last.generation} "
            "was trained on",
            f"put that picture back; if you mean the new one, `{command('run', project.name)}` trains on it",
        )


def _snapshots(project: Project, rows: _Rows) -> Iterator[Finding]:
    for training in rows.trainings:
        again = f"`{command('run', project.name)}` trains a missing one of the latest generation again"
        for snapshot in training.snapshots:
            path = project.folder / snapshot.path
            if not _is_inside(project, path):
                continue  # reported already
            what = f"project '{project.name}': the LoRA {snapshot.path.as_posix()} of generation {training.generation}"
            if not path.is_file():
                yield Finding(f"{what} is missing", f"put the file back from a copy of your own; {again}")
            elif damage := contents.lora_damage(path, snapshot.sha256):
                yield Finding(
                    f"{what} is damaged ({damage})",
                    f"put a whole file in its place; until then, set it aside, so that nothing draws with it; {again}",
                    partial(_set_aside, path),
                )
            elif sha256_of_file(path) != snapshot.sha256:
                yield Finding(
                    f"{what} is not the file that was trained: another program has changed or exchanged it",
                    "put the trained file back, or draw with this one as a file of its own, from the folder `loras`",
                )


def _set_aside(path: Path) -> str:
    aside = path.with_name(f"{path.name}.damaged")
    move(path, aside)
    return f"set it aside as {aside.name}"


def _candidates(
    project: Project, catalog: Catalog, rows: _Rows, looked: dict[Path, Looked]
) -> Iterator[Finding]:
    """Check the candidates' pictures: one that is gone or damaged comes back from its pick, or is shown no more."""
    copies = {pick.candidate_id: project.folder / pick.path for pick in rows.picks}
    lost, damaged, exchanged = [], [], []
    for candidate in rows.candidates:
        path = project.folder / candidate.path
        if not _is_inside(project, path):
            continue
        seen = looked.get(path)
        if seen is not None and not seen.damage:
            if seen.shot not in ("", candidate.id):
                exchanged.append(path)
            continue
        copy = looked.get(copies.get(candidate.id, Path()))
        if copy is not None and not copy.damage and not path.is_dir():
            state = "missing" if seen is None else f"damaged ({seen.damage})"
            yield Finding(
                f"project '{project.name}': the candidate {candidate.path.as_posix()} is {state}",
                "copy it from its pick in the dataset",
                partial(_copy, copies[candidate.id], path),
            )
        elif seen is None:
            lost.append(candidate)
        else:
            damaged.append(candidate)
    again = command("run", project.name)
    mark = (
        f"mark them as broken, so that they are not shown; `{again}` redraws those of the latest generation"
    )
    if lost:
        first = lost[0].path
        yield Finding(
            f"project '{project.name}': the pictures of {len(lost)} candidates are missing, such as {first.as_posix()}",
            mark,
            partial(_mark_broken, project, catalog, [candidate.id for candidate in lost]),
        )
    if damaged:
        first = damaged[0].path
        yield Finding(
            f"project '{project.name}': the pictures of {len(damaged)} candidates are damaged, such as "
            f"{first.as_posix()} ({looked[project.folder / first].damage})",
            mark,
            partial(_mark_broken, project, catalog, [candidate.id for candidate in damaged]),
        )
    if exchanged:
        yield Finding(
            f"project '{project.name}': {_named(exchanged, project.folder)} is another candidate's picture",
            f"put the right file back, from a copy of your own, or delete it and let "
            f"`{command('doctor', '--repair')}` mark it",
        )


def _mark_broken(project: Project, catalog: Catalog, ids: list[str]) -> str:
    candidate_states.call_broken(catalog, project.name, ids)
    return f"marked {len(ids)} candidates of '{project.name}' as broken"


def _copy(source: Path, target: Path) -> str:
    copy_file(source, target)
    return f"copied {target.name} from {source.parent.name}"


def _picks(project: Project, rows: _Rows, looked: dict[Path, Looked]) -> Iterator[Finding]:
    """Check the dataset: its pictures are copies of their candidates, its caption files say what the catalog says."""
    sources = {candidate.id: project.folder / candidate.path for candidate in rows.candidates}
    for pick in rows.picks:
        path, source = project.folder / pick.path, sources.get(pick.candidate_id, Path())
        if not _is_inside(project, path):
            continue
        source_is_whole = source in looked and not looked[source].damage
        what = f"project '{project.name}': the pick {pick.path.as_posix()}"
        seen = looked.get(path)
        if seen is None or seen.damage:
            state = "is missing" if seen is None else f"is damaged ({seen.damage})"
            if source_is_whole and not path.is_dir():
                repair = partial(_copy, source, path)
                yield Finding(
                    f"{what} {state}, and the dataset needs it", "copy it from its candidate", repair
                )
            else:
                undo = command("undo", project.name, pick.candidate_id)
                yield Finding(
                    f"{what} {state}, and the dataset needs it",
                    f"put the file back, or undo the pick (`{undo}`) and run `{command('grow', project.name)}`",
                )
        elif source_is_whole and sha256_of_file(path) != sha256_of_file(source):
            yield Finding(
                f"{what} is not its candidate's picture any more: it was changed outside of sid",
                f"if that is not meant, copy {source.relative_to(project.folder).as_posix()} over it",
            )
        yield from _caption(project, pick, path.with_suffix(".txt"))


def _caption(project: Project, pick: Pick, path: Path) -> Iterator[Finding]:
    what = f"project '{project.name}': the caption file {pick.path.with_suffix('.txt').as_posix()}"
    if not path.exists():

        def write() -> str:
            write_text(path, pick.caption + "\n")
            return f"wrote {path.name}"

        yield Finding(f"{what} is missing", "write it from the catalog", write)
    elif contents.caption_in(path) != pick.caption:
        yield Finding(
            f"{what} does not say what the catalog says, which training uses",
            f"change the caption with `{command('retag', project.name, pick.candidate_id)}` or in the app; or "
            f"delete the file, and `{command('doctor', '--repair')}` writes it from the catalog",
        )


def _thumbnails(project: Project, rows: _Rows, looked: dict[Path, Looked]) -> Iterator[Finding]:
    def is_bare(candidate: Candidate) -> bool:
        seen, picture = (
            looked.get(project.folder / candidate.thumbnail),
            looked.get(project.folder / candidate.path),
        )
        return picture is not None and not picture.damage and (seen is None or bool(seen.damage))

    bare = [
        candidate
        for candidate in rows.candidates
        if candidate.state is CandidateState.PUBLISHED and is_bare(candidate)
    ]
    if bare:
        missing = sum(project.folder / candidate.thumbnail not in looked for candidate in bare)
        state = "missing" if missing == len(bare) else "missing or damaged"
        yield Finding(
            f"project '{project.name}': {len(bare)} thumbnails are {state}",
            "make them again",
            partial(_make_thumbnails, project, bare),
        )


def _make_thumbnails(project: Project, bare: Iterable[Candidate]) -> str:
    made = total = 0
    for candidate in bare:
        remove_file(project.folder / candidate.thumbnail)
        made, total = made + make_thumbnail(project, candidate), total + 1
    return f"made {made} of {total} thumbnails"


def _sheets(project: Project, catalog: Catalog, rows: _Rows) -> Iterator[Finding]:
    lost = [sheet for sheet in rows.sheets if not (project.folder / sheet.path).is_file()]
    if lost:

        def forget() -> str:
            for sheet in lost:
                sheets.forget(catalog, project.name, sheet)
            return f"forgot {len(lost)} sheets"

        yield Finding(
            f"project '{project.name}': the sheet {_named([sheet.path for sheet in lost], project.folder)} is missing",
            f"forget it; `{command('sheet', project.name)}` draws it again",
            forget,
        )
