"""How many candidates of which kind were accepted: what recipes and strengths are worth."""

from dataclasses import dataclass

from sqlalchemy import case, func, select

from bootstrap.catalog.states import Verdict
from bootstrap.catalog.store import Catalog
from bootstrap.catalog.tables import CandidateRow, GenerationRow, ProjectRow


@dataclass(frozen=True)
class AcceptRate:
    """The verdicts on a generation's candidates of one recipe and one strength."""

    generation: int
    recipe: str
    strength: float  # of the first LoRA, 0.0 without one
    accepted: int
    rejected: int

    @property
    def decided(self) -> int:
        """How many have a verdict."""
        return self.accepted + self.rejected


def of_project(catalog: Catalog, project: str) -> list[AcceptRate]:
    """Return the verdicts by generation, recipe and strength; what has no verdict yet is left out."""
    recipe = CandidateRow.shot["recipe"].as_string()
    strength = CandidateRow.shot[("loras", 0, "strength")].as_float()
    accepted = func.sum(case((CandidateRow.verdict == Verdict.ACCEPT, 1), else_=0))
    rejected = func.sum(case((CandidateRow.verdict == Verdict.REJECT, 1), else_=0))
    query = (
        select(GenerationRow.number, recipe, strength, accepted, rejected)
        .join(GenerationRow, CandidateRow.generation_id == GenerationRow.id)
        .join(ProjectRow, CandidateRow.project_id == ProjectRow.id)
        .where(ProjectRow.name == project, CandidateRow.verdict != Verdict.UNDECIDED)
        .group_by(GenerationRow.number, recipe, strength)
        .order_by(GenerationRow.number, recipe, strength)
    )
    with catalog.read() as session:
        return [
            AcceptRate(number, kind or "", float(of_lora or 0.0), int(yes), int(no))
            for number, kind, of_lora, yes, no in session.execute(query)
        ]


def summed(rates: list[AcceptRate], by: str) -> dict[tuple[int, str | float], tuple[int, int]]:
    """Return (accepted, decided) by generation and `recipe` or `strength`."""
    found: dict[tuple[int, str | float], tuple[int, int]] = {}
    for one in rates:
        key = (one.generation, getattr(one, by))
        accepted, decided = found.get(key, (0, 0))
        found[key] = (accepted + one.accepted, decided + one.decided)
    return found
