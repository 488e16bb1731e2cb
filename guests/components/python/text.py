"""The resource of the interface `text`."""

from collections import Counter
from typing import Self

from wit_world.exports import text


class Tally(text.Tally):
    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[str] = Counter()

    def add(self, text: str) -> int:
        self._counts.update(word for word in text.split(" ") if word)
        return len(self._counts)

    def counts(self) -> list[tuple[str, int]]:
        return sorted(self._counts.items())

    def name(self) -> str:
        return self._name

    @classmethod
    def merge(cls, left: Self, right: Self) -> Self:
        merged = cls(f"{left._name}+{right._name}")
        merged._counts = left._counts + right._counts
        return merged

    @classmethod
    def finish(cls, tally: Self) -> list[tuple[str, int]]:
        return tally.counts()
