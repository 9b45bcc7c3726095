"""Change the tags of many picks at once, and find inconsistent captions.

retag(project, catalog, TagEdit(remove=("blurry",), rename=(("red ball", "red apple"),)))
report = consistency(project, catalog)      # tags used once, near-identical tags, missing tags
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

_MOST_ALIKE = 50  # tags of one form that are all paired with each other
_MOST_LETTERS, _MOST_WORDS = 40, 20  # of a tag in which typos are looked for
_LONG = 5  # letters; in a word this long, one different letter is rather a typo than another word


@dataclass(frozen=True)
class TagEdit:
    """An edit of a caption's tags: remove some, rename some, add some."""

    add: tuple[str, ...] = ()  # appended, unless the caption has them already
    remove: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()  # (old, new); a new name may be several tags

    def of(self, tags: Sequence[str]) -> list[str]:
        """Return the edited tags of a caption, each once; case is ignored."""
        changed = captions.without(tags, [*self.remove, *map(captions.without_escapes, self.remove)])
        for old, new in self.rename:
            for spelling in dict.fromkeys((old, captions.without_escapes(old))):
                changed = captions.replaced(changed, spelling, captions.without_escapes(new))
        return captions.with_added([], [*changed, *map(captions.without_escapes, self.add)])


@dataclass(frozen=True)
class Consistency:
    """Possible mistakes in the captions of a dataset."""

    pictures: int  # in the dataset, including the original
    uses: dict[str, int]  # number of captions that have a tag, most used first
    once: list[str]  # tags that only one picture has
    alike: list[tuple[str, str]]  # tags that may mean the same: "red apple", "red apples"
    required: tuple[str, ...]  # what each caption should have
    lacking: dict[str, tuple[str, ...]]  # required tags that a pick's caption lacks, by candidate id

    @property
    def is_clean(self) -> bool:
        """Whether nothing needs a look; tags used once do not count, as a small dataset usually has some."""
        return not (self.alike or self.lacking)


def retag(
    project: Project, catalog: Catalog, edit: TagEdit, ids: Collection[str] | None = None, having: str = ""
) -> int:
    """Change the captions of picks, all of them or none; the next training uses the new ones.

    Args:
        ids: candidate ids of the picks to edit; None: all.
        having: only edit picks with this tag; "": with any tags.

    Returns:
        The number of captions that changed.

    Raises:
        UserError: the edit is empty, a caption would be empty, there is no such pick, or a
            generation is running.
    """
    if not (edit.add or edit.remove or edit.rename):
        raise UserError("nothing to change: name tags to add, remove or rename")
    present = {pick.candidate_id: captions.parse(pick.caption) for pick in picks.picks(catalog, project.name)}
    for candidate_id in ids or ():
        if candidate_id not in present:
            raise UserError(f"pick '{candidate_id}': the dataset of '{project.name}' has none with this id")
    selected = {
        candidate_id: tags
        for candidate_id, tags in present.items()
        if (ids is None or candidate_id in ids)
        and (not having or any(captions.same_tag(tag, captions.without_escapes(having)) for tag in tags))
    }
    changed = {candidate_id: captions.join(edit.of(tags)) for candidate_id, tags in selected.items()}
    return growth.recaption(project, catalog, changed)


def consistency(project: Project, catalog: Catalog) -> Consistency:
    """Look for possible mistakes in the captions of the dataset.

    The tags that each pick should have are `[curation] required_tags`, or else the first tag of the project's caption.
    """
    own_tags = project.settings.project.tags
    required = tuple(project.settings.curation.required_tags or own_tags[:1])
    of_picks = {
        pick.candidate_id: captions.parse(pick.caption) for pick in picks.picks(catalog, project.name)
    }
    uses: Counter[str] = Counter()
    for tags in [own_tags, *of_picks.values()]:
        uses.update(set(tags))
    lacking = {
        candidate_id: missing
        for candidate_id, tags in of_picks.items()
        if (missing := tuple(captions.without(required, tags)))
    }
    return Consistency(
        pictures=1 + len(of_picks),
        uses=dict(sorted(uses.items(), key=lambda use: (-use[1], use[0].casefold()))),
        once=sorted((tag for tag, count in uses.items() if count == 1), key=str.casefold),
        alike=nearly_the_same(list(uses)),
        required=required,
        lacking=lacking,
    )


def nearly_the_same(tags: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of different tags that may mean the same, sorted.

    They differ in case, hyphens, underscores, word order or a plural s, or in one letter of a word of at least _LONG
    letters. A different digit is never taken for a typo. Of more than _MOST_ALIKE tags of one form, each further one is
    paired with the first only.
    """
    by_form: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for tag in dict.fromkeys(tags):
        for form in set(_forms(tag)):
            by_form[form].append(tag)
    pairs = {
        (first, second) if (first.casefold(), first) < (second.casefold(), second) else (second, first)
        for group in by_form.values()
        for index, first in enumerate(group[:_MOST_ALIKE])
        for second in (group if index == 0 else group[:_MOST_ALIKE])[index + 1 :]
    }
    return sorted(pairs, key=lambda pair: (pair[0].casefold(), pair))


def _forms(tag: str) -> Iterator[tuple[str, ...]]:
    """Yield the forms of a tag: its words in alphabetical order, and these with one letter of a long word left out.

    Two words that differ in one letter, or where one has an extra letter, share a form.
    """
    words = [_singular(word) for word in re.split(r"[\s_-]+", tag.casefold()) if word]
    yield tuple(sorted(words))
    if len(words) > _MOST_WORDS:
        return
    for place, word in enumerate(words):
        if not _LONG <= len(word) <= _MOST_LETTERS:
            continue
        for at, letter in enumerate(word):
            if not letter.isdigit():
                shorter = f"{word[:at]}?{word[at + 1 :]}", f"{word[:at]}{word[at + 1 :]}"
                for variant in shorter:
                    yield tuple(sorted([*words[:place], variant, *words[place + 1 :]]))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
