"""The real application in a process whose clock the test moves and whose memory it searches."""

import gc
import io
import json
from datetime import timedelta

import time_machine

from collector.cache import records
from tracking_site.wsgi import application as tracked

clock = time_machine.travel("2026-03-10T12:00:00Z", tick=False).start()


def forward(days):
    """Move the clock."""
    clock.shift(timedelta(days=int(days)))


def keys(_):
    """How many keys are in memory, those included that expired."""
    return len(records()._contents.keys)


def digest(key):
    """A key's digest, in a form that is not the digest."""
    name = records().make_key(key)
    return [255 - byte for byte in records()._contents.digest(name)]


def holders(text):
    """How many live objects hold this text."""
    return count_live(lambda data: text.encode() in data)


def digests(inverted):
    """How many live objects are the digest of which `digest` told."""
    return count_live(lambda data: [255 - byte for byte in data] == json.loads(inverted))


def count_live(wanted):
    """How many live strings and buffers are wanted, out of all that can be reached."""
    gc.unfreeze()  # what the server froze at its start holds things too
    gc.collect()
    # What was seen is held, so that no other object gets its id meanwhile.
    seen, waiting, found = {}, gc.get_objects(), 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        waiting += gc.get_referents(thing)
        if isinstance(thing, dict):
            waiting += thing  # its referents leave out keys that are strings
        if isinstance(thing, (str, bytes, bytearray, io.BytesIO)):
            found += wanted(contents(thing))
    return found


def contents(thing):
    """The bytes of a string or buffer."""
    if isinstance(thing, str):
        return thing.encode("utf-8", "surrogatepass")
    return thing.getvalue() if isinstance(thing, io.BytesIO) else bytes(thing)


def application(environ, start_response):
    """Answer /instrument/NAME with what that function says of the body, and all else as ever."""
    _, first, *rest = environ["PATH_INFO"].split("/")
    if first != "instrument":
        return tracked(environ, start_response)
    argument = environ["wsgi.input"].read().decode()
    said = json.dumps(INSTRUMENTS[rest[0]](argument)).encode()
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]


INSTRUMENTS = {tool.__name__: tool for tool in (forward, keys, digest, holders, digests)}
