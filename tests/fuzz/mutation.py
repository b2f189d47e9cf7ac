"""Bytes to slightly wrong bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

MAX_BYTES = 65_536
_EDGES: tuple[int, ...] = (
    *(0, 1, -1, 2, 7, 8, 127, 128, 255, 256, 1024, 32_767, 65_535),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63),
)
_NUMBERS = (b"0", b"-1", b"1e400", b"NaN", b"9" * 19, b"9" * 400, b"0.1", b"-0", b"2147483648")
_NUMBER = re.compile(rb"-?[0-9]+")


class Mutator:
    """Inputs from `corpus`, changed in one to five places. `words` mean something to its reader."""

    def __init__(self, random: Random, corpus: list[bytes], words: Sequence[bytes]) -> None:
        self._random = random
        self._corpus = corpus
        self._words = words
        self._ways = (
            self._flip,
            self._byte,
            self._integer,
            self._number,
            self._cut,
            self._double,
            self._insert,
            self._word,
            self._word,
            self._splice,
        )

    def next(self) -> bytes:
        """Another input, of at most MAX_BYTES."""
        random = self._random
        # What was found last has led somewhere new.
        last = random.random() < 0.3
        data = bytearray(self._corpus[-1] if last else random.choice(self._corpus))
        for _ in range(1 + int(random.expovariate(0.8)) % 5):
            random.choice(self._ways)(data)
        return bytes(data[:MAX_BYTES])

    def _at(self, data: bytearray) -> int:
        return self._random.randrange(len(data) + 1)

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _byte(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] = self._random.randrange(256)

    def _integer(self, data: bytearray) -> None:
        size = self._random.choice((1, 2, 4, 8))
        value = self._random.choice(_EDGES) % 256**size
        at = self._at(data)
        data[at : at + size] = value.to_bytes(size, self._random.choice(("little", "big")))

    def _number(self, data: bytearray) -> None:
        found = _NUMBER.search(data, self._at(data))
        if found:
            data[slice(*found.span())] = self._random.choice(_NUMBERS)

    def _cut(self, data: bytearray) -> None:
        at = self._at(data)
        del data[at : at + self._length()]

    def _double(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = data[at : at + self._length()] * self._random.choice((1, 1, 2, 30))

    def _insert(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self._random.randbytes(self._random.randint(1, 8))

    def _word(self, data: bytearray) -> None:
        if self._words:
            at, word = self._at(data), self._random.choice(self._words)
            data[at : at + self._random.choice((0, len(word)))] = word

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self._corpus)
        here, there = self._at(data), self._random.randrange(len(other) + 1)
        data[here:] = other[there:]

    def _length(self) -> int:
        return 1 + int(self._random.expovariate(0.1))
