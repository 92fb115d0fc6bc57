"""The real application in a process whose clock a test moves and whose memory a test searches."""

import atexit
import gc
import io
import json
from datetime import timedelta

import time_machine

from collector.cache import records
from tracking_site import housekeeping
from tracking_site.wsgi import application as tracked

housekeeping.LOOK_INTERVAL = 0.1
clock = time_machine.travel("2026-03-10T12:00:00Z", tick=False).start()


@atexit.register
def print_instances():
    """Print how many reports were accepted, after the last response."""
    print(f"At exit, {number_of_keys()} instances were counted.", flush=True)


def number_of_keys(_=None):
    """Return how many keys are in memory, including expired ones."""
    return sum(map(len, records()._contents.shards))


def forward(days):
    """Move the clock."""
    clock.shift(timedelta(days=int(days)))


def inverted_digest(key):
    """Return the digest of a key in a form that a search for the digest does not find."""
    return [255 - byte for byte in records()._digest(records().make_key(key))]


def count_text(text):
    """Return the number of live strings and buffers that contain a text."""
    return count_live(lambda data: text.encode() in data)


def count_digest(inverted):
    """Return how many live objects are the digest that `inverted_digest` returned."""
    return count_live(lambda data: [255 - byte for byte in data] == json.loads(inverted))


def count_live(matches):
    """Return how many strings and buffers match, of all that are reachable."""
    gc.unfreeze()  # what the server froze at startup holds objects too
    gc.collect()
    # `seen` holds the objects themselves, so that no other object gets the id of one of them.
    seen, waiting, count = {}, gc.get_objects(), 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        waiting += gc.get_referents(thing)
        if isinstance(thing, dict):
            waiting += thing  # its referents leave out keys that are strings
        if isinstance(thing, (str, bytes, bytearray, io.BytesIO)):
            count += matches(contents(thing))
    return count


def contents(thing):
    """Return the bytes of a string or buffer."""
    if isinstance(thing, str):
        return thing.encode("utf-8", "surrogatepass")
    return thing.getvalue() if isinstance(thing, io.BytesIO) else bytes(thing)


INSTRUMENTS = {
    tool.__name__: tool
    for tool in (forward, number_of_keys, inverted_digest, count_text, count_digest)
}


def application(environ, start_response):
    """Respond to /instrument/NAME by calling the instrument with the body; pass on all else."""
    _, first, *rest = environ["PATH_INFO"].split("/")
    if first != "instrument":
        return tracked(environ, start_response)
    argument = environ["wsgi.input"].read().decode()
    response = json.dumps(INSTRUMENTS[rest[0]](argument)).encode()
    start_response("200 OK", [("Content-Length", str(len(response)))])
    return [response]
