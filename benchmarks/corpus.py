"""A corpus that grows: inputs that caused a new kind of answer are kept, and changed further."""

import json
import random
import re
from collections.abc import Hashable, Sequence
from typing import Any

ODD_BYTES = b'\0\t\n\r "#%,-/:;=?@[\\]{}\x7f\x80\xc0\xff09aAzZ'
ODD_NUMBERS = (
    b"0", b"-1", b"+1", b"1 ", b"00", b"1.0", b"1e9", b"0x10", b"4095", b"4096", b"4097", b"16385",
    b"2147483648", b"18446744073709551616", b"9" * 400, b"\xb2",
)  # fmt: skip
ODD_VALUES = (None, True, 0, -1, 1e300, 2**70, float("nan"), "", "\0", "é", "\ud800", [], {}, [[]])
PRINTABLE = [chr(code) for code in range(32, 127)]
CHANGES = 8


class Corpus:
    """Inputs: first as they were written, then changed; the same for the same seed and answers.

    `tokens` are pieces with a meaning in these inputs; no input is longer than `longest`.
    """

    def __init__(
        self,
        seeds: Sequence[bytes],
        tokens: Sequence[bytes],
        longest: int,
        source: random.Random,
        *,
        json_share: float = 0,  # of the changes that leave JSON valid
    ) -> None:
        self.inputs, self.unsent = list(seeds), list(seeds)
        self.tokens, self.longest, self.source = tokens, longest, source
        self.json_share = json_share
        self.kinds: set[Hashable] = set()  # of answers

    def draw(self) -> bytes:
        """Return the next input."""
        if self.unsent:
            return self.unsent.pop()
        # The first input is valid; without many changes of it, few get past the first check.
        data = self.inputs[0] if self.source.random() < 0.5 else self.source.choice(self.inputs)
        for _ in range(self.source.choice((1, 1, 1, 2, 4))):
            if self.source.random() < self.json_share:
                data = self.with_changed_value(data)
            else:
                data = self.with_changed_bytes(data)
        return data[: self.longest]

    def learn(self, sent: bytes, kind: Hashable) -> None:
        """Keep an input if it caused a new kind of answer."""
        if kind not in self.kinds:
            self.inputs.append(sent)
        self.kinds.add(kind)

    def with_changed_bytes(self, data: bytes) -> bytes:
        """Return the data with one random change."""
        start = self.source.randint(0, len(data))
        end = min(
            len(data), start + self.source.randint(1, self.source.choice((1, 2, 4, 64, 1024)))
        )
        piece, token = data[start:end], self.source.choice(self.tokens)
        match self.source.randrange(CHANGES):
            case 0:
                piece = bytes([self.source.choice(ODD_BYTES)])
                end = start + 1
            case 1:
                piece = token + piece
            case 2:
                piece = token
            case 3:
                piece = b""
            case 4:
                return data[:start]
            case 5:
                times = self.source.choice((2, 2, 3, 10, 100, 2000))
                return (data[:start] + piece * times + data[end:])[: self.longest]
            case 6 if numbers := list(re.finditer(rb"\d+", data)):
                start, end = self.source.choice(numbers).span()
                piece = self.source.choice(ODD_NUMBERS)
            case _:  # continue as another input does
                other = self.source.choice(self.inputs)
                return data[:start] + other[self.source.randint(0, len(other)) :]
        return data[:start] + piece + data[end:]

    def with_changed_value(self, data: bytes) -> bytes:
        """Return JSON with another value in it."""
        try:
            whole = [json.loads(data)]
            self.change_value(whole)
            return json.dumps(whole[0]).encode()
        except (ValueError, RecursionError):
            return self.with_changed_bytes(data)

    def change_value(self, node: Any) -> None:
        """Change one of the values in a list or an object, at any depth."""
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not keys:
            return
        deeper = [key for key in keys if isinstance(node[key], list | dict)]
        if deeper and self.source.random() < 0.8:
            self.change_value(node[self.source.choice(deeper)])
        elif self.source.random() < 0.3:
            node[self.source.choice(keys)] = self.source.choice(ODD_VALUES)
        else:
            text = self.source.choices(PRINTABLE, k=self.source.randint(0, 70))
            node[self.source.choice(keys)] = "".join(text)
