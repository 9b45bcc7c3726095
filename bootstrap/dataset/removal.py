"""Take picks out of the dataset before it grows again, and put them back."""

from collections.abc import Collection, Sequence

from bootstrap import images, reading
from bootstrap.catalog import Catalog, candidates, picks
from bootstrap.catalog.picks import Removed
from bootstrap.dataset import pick_files
from bootstrap.errors import UserError
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively


def remove(project: Project, catalog: Catalog, ids: Collection[str], reviewer: str) -> list[Removed]:
    """Take picks out of the dataset, all of them or none, and reject their candidates; their pictures stay.

    Args:
        ids: the candidates' ids.
        reviewer: who rejects them.

    Returns:
        What `put_back` needs.

    Raises:
        UserError: the dataset has no such pick, or a generation is running.
    """
    present = {pick.candidate_id for pick in picks.picks(catalog, project.name)}
    for candidate_id in ids:
        if candidate_id not in present:
            raise UserError(f"pick '{candidate_id}': the dataset of '{project.name}' has none with this id")
    with exclusively(project):
        pick_files.finish_interrupted(project, catalog)
        with pick_files.changing(project, catalog, ids):
            return picks.remove(catalog, project.name, ids, reviewer)


def put_back(project: Project, catalog: Catalog, removed: Sequence[Removed], reviewer: str) -> int:
    """Undo `remove`: the picks get back their verdicts, captions and places in the dataset.

    Args:
        removed: what `remove` returned.
        reviewer: who accepts them.

    Returns:
        The number of picks that are back; those that joined the dataset again meanwhile do not count.

    Raises:
        UserError: a candidate's picture cannot be read, or a generation is running; nothing is changed then.
    """
    ids = [one.pick.candidate_id for one in removed]
    sources = {}
    for one in removed:
        candidate = candidates.candidate(catalog, project.name, one.pick.candidate_id)
        where = f"candidate '{candidate.id}' of '{project.name}'"
        sources[candidate.id] = reading.inside(project.folder, candidate.path, where)
        images.open_picture(sources[candidate.id])
    with exclusively(project):
        pick_files.finish_interrupted(project, catalog)
        with pick_files.changing(project, catalog, ids):
            for one in removed:
                candidate_id = one.pick.candidate_id
                pick_files.write(project, candidate_id, sources[candidate_id], one.pick.caption)
            return len(picks.put_back(catalog, project.name, removed, reviewer))
