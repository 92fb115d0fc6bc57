"""A corpus that grows: what made a new kind of answer is kept, and changed further."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

CHANGES_AT_ONCE = (1, 1, 1, 2, 4)
ODD_BYTES = b'\0\t\n\r "#%,-/:;=?@[\\]{}\x7f\x80\xc0\xff09aAzZ'
# One a line, as the formatter has it, would take pages.
ODD_NUMBERS = (
    b"0", b"-1", b"+1", b"1 ", b"00", b"1.0", b"1e9", b"0x10", b"4095", b"4096", b"4097", b"16385",
    b"2147483648", b"18446744073709551616", b"9" * 400, b"\xb2",
)  # fmt: skip

ODD_VALUES = (None, True, 0, -1, 1e300, 2**70, float("nan"), "", "\0", "é", "\ud800", [], {}, [[]])
PRINTABLE = [chr(code) for code in range(32, 127)]


class Corpus:
    """Inputs, first as they were written, then changed; the same for the same source and answers.

    `tokens` are pieces that mean something in these inputs; nothing drawn is longer than `longest`.
    """

    def __init__(
        self,
        seeds: Sequence[bytes],
        tokens: Sequence[bytes],
        longest: int,
        source: random.Random,
        *,
        are_json: bool = False,
    ) -> None:
        self.inputs = list(seeds)
        self.unsent = list(seeds)
        self.tokens = tokens
        self.longest = longest
        self.source = source
        self.changes = [*CHANGES, *[change_value] * len(CHANGES)] if are_json else CHANGES
        self.kinds: Counter[Hashable] = Counter()  # of answers

    def draw(self) -> bytes:
        """The next input."""
        if self.unsent:
            return self.unsent.pop()
        # Half of them are made of the first, which is right: else few get past the first check.
        data = self.inputs[0] if self.source.random() < 0.5 else self.source.choice(self.inputs)
        for _ in range(self.source.choice(CHANGES_AT_ONCE)):
            data = self.source.choice(self.changes)(self, data)
        return data[: self.longest]

    def learn(self, sent: bytes, kind: Hashable) -> None:
        """Keep an input if no other made this kind of answer."""
        if kind not in self.kinds:
            self.inputs.append(sent)
        self.kinds[kind] += 1

    def place(self, data: bytes) -> int:
        """Somewhere in the data, or at its end."""
        return self.source.randint(0, len(data))

    def piece(self, data: bytes) -> tuple[int, int]:
        """Where a piece of the data begins and ends; most are short."""
        start = self.place(data)
        length = self.source.choice((1, 1, 2, 4, 16, 64, 1024))
        return start, min(start + self.source.randint(1, length), len(data))


def replace_byte(corpus: Corpus, data: bytes) -> bytes:
    """Put an odd byte in another's place."""
    at = corpus.place(data)
    return data[:at] + bytes([corpus.source.choice(ODD_BYTES)]) + data[at + 1 :]


def insert_token(corpus: Corpus, data: bytes) -> bytes:
    """Put a piece that means something anywhere."""
    at = corpus.place(data)
    return data[:at] + corpus.source.choice(corpus.tokens) + data[at:]


def replace_by_token(corpus: Corpus, data: bytes) -> bytes:
    """Put a piece that means something in another's place."""
    start, end = corpus.piece(data)
    return data[:start] + corpus.source.choice(corpus.tokens) + data[end:]


def cut(corpus: Corpus, data: bytes) -> bytes:
    """Leave a piece out."""
    start, end = corpus.piece(data)
    return data[:start] + data[end:]


def cut_short(corpus: Corpus, data: bytes) -> bytes:
    """Leave the end out."""
    return data[: corpus.place(data)]


def repeat(corpus: Corpus, data: bytes) -> bytes:
    """Say a piece many times."""
    start, end = corpus.piece(data)
    times = corpus.source.choice((2, 2, 3, 10, 100, 2000))
    return (data[:start] + data[start:end] * times + data[end:])[: corpus.longest]


def change_number(corpus: Corpus, data: bytes) -> bytes:
    """Put an odd number in another's place."""
    numbers = list(re.finditer(rb"\d+", data))
    if not numbers:
        return data
    start, end = corpus.source.choice(numbers).span()
    return data[:start] + corpus.source.choice(ODD_NUMBERS) + data[end:]


def splice(corpus: Corpus, data: bytes) -> bytes:
    """Go on as another input does."""
    other = corpus.source.choice(corpus.inputs)
    return data[: corpus.place(data)] + other[corpus.place(other) :]


def change_value(corpus: Corpus, data: bytes) -> bytes:
    """Put another value in one's place, in what is JSON and stays so."""
    try:
        whole = [json.loads(data)]
        put_value(corpus, whole)
        return json.dumps(whole[0]).encode()
    except (ValueError, RecursionError):
        return replace_byte(corpus, data)


def put_value(corpus: Corpus, node: Any) -> None:
    """Change one of the values in a list or an object, or in one of those in it."""
    keys = list(node) if isinstance(node, dict) else range(len(node))
    if not keys:
        return
    deeper = [key for key in keys if isinstance(node[key], list | dict)]
    if deeper and corpus.source.random() < 0.8:
        put_value(corpus, node[corpus.source.choice(deeper)])
    elif corpus.source.random() < 0.3:
        node[corpus.source.choice(keys)] = corpus.source.choice(ODD_VALUES)
    else:
        text = corpus.source.choices(PRINTABLE, k=corpus.source.randint(0, 70))
        node[corpus.source.choice(keys)] = "".join(text)


CHANGES: Sequence[Callable[[Corpus, bytes], bytes]] = (
    replace_byte,
    insert_token,
    replace_by_token,
    cut,
    cut_short,
    repeat,
    change_number,
    splice,
)
