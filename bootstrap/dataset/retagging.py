"""The captions of many picks at once: changing their tags, and finding what is not consistent.

retag(project, catalog, TagEdit(remove=("blurry",), rename=(("red ball", "red apple"),)))
report = consistency(project, catalog)      # tags used once, nearly the same tags, picks that lack one
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bootstrap import captions
from bootstrap.catalog import Catalog, picks
from bootstrap.dataset import growth
from bootstrap.errors import UserError
from bootstrap.project.projects import Project

_LONG = 5  # letters of a word that one wrong letter does not make another word


@dataclass(frozen=True)
class TagEdit:
    """What shall become of a caption's tags: some go, some get other names, some come."""

    add: tuple[str, ...] = ()  # put at the end, where they are not there yet
    remove: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()  # (old, new); a new name may be several tags

    def of(self, tags: Sequence[str]) -> list[str]:
        """Return the tags of a caption as they shall be, each once; case does not count."""
        changed = captions.without(tags, self.remove)
        for old, new in self.rename:
            changed = captions.replaced(changed, old, new)
        return captions.with_added([], [*changed, *self.add])


@dataclass(frozen=True)
class Consistency:
    """What may be wrong with the captions of a dataset."""

    pictures: int  # in the dataset, the original included
    uses: dict[str, int]  # how many captions have a tag, most used first
    once: list[str]  # tags that one picture alone has
    alike: list[tuple[str, str]]  # tags that may mean the same: "red apple", "red apples"
    required: tuple[str, ...]  # what each caption should have
    lacking: dict[str, tuple[str, ...]]  # required tags that a pick's caption does not have, by candidate id

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to look at; tags used once are usual in a small dataset."""
        return not (self.alike or self.lacking)


def retag(
    project: Project, catalog: Catalog, edit: TagEdit, ids: Collection[str] | None = None, having: str = ""
) -> int:
    """Change the captions of picks, all of them or none; the next training learns with these.

    Args:
        ids: candidate ids of the picks that are meant; None: all.
        having: only picks with this tag; "": whatever they have.

    Returns:
        How many captions are different now.

    Raises:
        UserError: the edit changes nothing by itself, a caption would be empty, there is no such pick, or a
            generation is running.
    """
    if not (edit.add or edit.remove or edit.rename):
        raise UserError("nothing to change: name tags to add, remove or rename")
    present = {pick.candidate_id: captions.parse(pick.caption) for pick in picks.picks(catalog, project.name)}
    for candidate_id in ids or ():
        if candidate_id not in present:
            raise UserError(f"pick '{candidate_id}': the dataset of '{project.name}' has none with this id")
    meant = {
        candidate_id: tags
        for candidate_id, tags in present.items()
        if (ids is None or candidate_id in ids)
        and (not having or any(captions.same_tag(tag, having) for tag in tags))
    }
    changed = {candidate_id: captions.join(edit.of(tags)) for candidate_id, tags in meant.items()}
    return growth.recaption(project, catalog, changed)


def consistency(project: Project, catalog: Catalog) -> Consistency:
    """Look for what may be wrong with the captions of the dataset.

    What each pick should have is `[curation] required_tags`, or else the first tag of the project's caption.
    """
    own = project.settings.project.tags
    required = tuple(project.settings.curation.required_tags or own[:1])
    of_picks = {one.candidate_id: captions.parse(one.caption) for one in picks.picks(catalog, project.name)}
    uses: Counter[str] = Counter()
    for tags in [own, *of_picks.values()]:
        uses.update(set(tags))
    lacking = {
        candidate_id: missing
        for candidate_id, tags in of_picks.items()
        if (missing := tuple(captions.without(required, tags)))
    }
    return Consistency(
        pictures=1 + len(of_picks),
        uses=dict(sorted(uses.items(), key=lambda one: (-one[1], one[0].casefold()))),
        once=sorted((tag for tag, count in uses.items() if count == 1), key=str.casefold),
        alike=nearly_the_same(list(uses)),
        required=required,
        lacking=lacking,
    )


def nearly_the_same(tags: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of different tags that may mean the same, sorted.

    They differ in case, hyphens, underscores, the order of their words or a plural's s, or in one letter of a word of
    _LONG letters or more. Numbers are never taken for misspelt ones.
    """
    by_form: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for tag in dict.fromkeys(tags):
        for form in set(_forms(tag)):
            by_form[form].append(tag)
    pairs = {
        (one, other) if (one.casefold(), one) < (other.casefold(), other) else (other, one)
        for group in by_form.values()
        for index, one in enumerate(group)
        for other in group[index + 1 :]
    }
    return sorted(pairs, key=lambda pair: (pair[0].casefold(), pair))


def _forms(tag: str) -> Iterator[tuple[str, ...]]:
    """What a tag is known by: its words in order of the alphabet, and these with one letter of a long one left out.

    Two words that differ in one letter, or by one, have such a form in common.
    """
    words = [_singular(word) for word in re.split(r"[\s_-]+", tag.casefold()) if word]
    yield tuple(sorted(words))
    for place, word in enumerate(words):
        if len(word) < _LONG:
            continue
        for at, letter in enumerate(word):
            if not letter.isdigit():
                shorter = f"{word[:at]}?{word[at + 1 :]}", f"{word[:at]}{word[at + 1 :]}"
                for one in shorter:
                    yield tuple(sorted([*words[:place], one, *words[place + 1 :]]))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
