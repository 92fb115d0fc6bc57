"""Values as bytes: equal bytes for equal values, and a seal that proves that we wrote them."""

import io
import pickle
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

SEAL_SIZE = 16  # bytes


def pickled(value: Any) -> bytes:
    """Return a value as bytes that are the same for equal values of the same types."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.fast = True  # the memo would tell one object used twice from two equal objects
    try:
        pickler.dump(value)
    except ValueError:  # the value contains itself, which needs the memo
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return buffer.getvalue()


NONE = pickled(None)


def sealed(value: Any, secret: bytes) -> bytes:
    """Return a value as bytes for a store to which others may write.

    Unpickling runs any code that a pickle names, so each one must be proved to be ours.
    """
    content = pickled(value)
    return _seal(content, secret) + content


def unsealed(content: bytes, secret: bytes) -> Any:
    """Return the value. Raises ValueError if it was not sealed with this secret."""
    seal, content = content[:SEAL_SIZE], content[SEAL_SIZE:]
    if not compare_digest(seal, _seal(content, secret)):
        raise ValueError("not sealed with this secret")
    return pickle.loads(content)


def _seal(content: bytes, secret: bytes) -> bytes:
    return blake2b(content, digest_size=SEAL_SIZE, key=secret).digest()
