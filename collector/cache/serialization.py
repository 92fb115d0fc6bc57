"""Values as bytes: equal bytes for equal values, and proof that they are our own."""

import io
import pickle
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

SEAL_SIZE = 16  # bytes


def pickled(value: Any) -> bytes:
    """Equal bytes for equal parts: the memo tells one object used twice from two equal ones."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.fast = True
    try:
        pickler.dump(value)
    except ValueError:  # it contains itself
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return buffer.getvalue()


NONE = pickled(None)


def sealed(value: Any, secret: bytes) -> bytes:
    """A value for a store that others may write to: whoever loads a pickle runs what it says."""
    content = pickled(value)
    return _seal(content, secret) + content


def unsealed(content: bytes, secret: bytes) -> Any:
    """The value; ValueError if it was not sealed with this secret."""
    seal, content = content[:SEAL_SIZE], content[SEAL_SIZE:]
    if not compare_digest(seal, _seal(content, secret)):
        raise ValueError("not sealed with this secret")
    return pickle.loads(content)


def _seal(content: bytes, secret: bytes) -> bytes:
    return blake2b(content, digest_size=SEAL_SIZE, key=secret).digest()
