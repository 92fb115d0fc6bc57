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

housekeeping.INTERVAL = 0.1
clock = time_machine.travel("2026-03-10T12:00:00Z", tick=False).start()


@atexit.register
def print_instances():
    """Print how many reports were accepted, after the last response."""
    print(f"At exit, {number_of_keys()} instances were counted.", flush=True)


def number_of_keys(_=None):
    """Return how many keys are in memory, including expired ones."""
    return len(records()._contents.keys)


def forward(days):
    """Move the clock."""
    clock.shift(timedelta(days=int(days)))


def inverted_digest(key):
    """Return the digest of a key in a form that a search for the digest does not find."""
    name = records().make_key(key)
    return [255 - byte for byte in records()._contents.digest(name)]


def inverted_digests(key):
    """Return `inverted_digest` for the cache and for each of its sections."""
    name, contents = records().make_key(key), records()._contents
    caches = (contents, *contents.sections.values())
    return [[255 - byte for byte in each.digest(name)] for each in caches]


def share_a_container(inverted):
    """Return how many containers hold two of the digests that `inverted_digests` returned."""
    digests = {bytes(255 - byte for byte in each) for each in json.loads(inverted)}
    containers = [
        thing for thing in gc.get_objects() if isinstance(thing, (dict, list, set, tuple))
    ]
    return sum(
        len(digests & {each for each in [*thing] if isinstance(each, bytes)}) > 1
        for thing in containers
        if thing is not digests
    )


def number_of_groups(_=None):
    """Return how many different objects the digests of the cache and its sections point at."""
    contents = records()._contents
    caches = (contents, *contents.sections.values())
    return len({id(group) for each in caches for group in each.keys.values()})


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
    for tool in (
        forward,
        number_of_keys,
        number_of_groups,
        inverted_digest,
        inverted_digests,
        share_a_container,
        count_text,
        count_digest,
    )
}


def application(environ, start_response):
    """Answer /instrument/NAME by calling the instrument with the body; pass on all else."""
    _, first, *rest = environ["PATH_INFO"].split("/")
    if first != "instrument":
        return tracked(environ, start_response)
    argument = environ["wsgi.input"].read().decode()
    answer = json.dumps(INSTRUMENTS[rest[0]](argument)).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
