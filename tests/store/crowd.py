"""Have many greenlets put into the store at a URL; print the outcomes and the longest wait.

Run it with `python -m gevent.monkey --module`, so that everything is patched as in a server. With
the process id of the store as a second argument, it freezes the store in the midst of this.
"""

import os
import signal
import sys
import time
from collections import Counter

import gevent

from collector.cache.redis import RedisCache
from collector.cache.tally import Unavailable

GREENLETS = 2000


def put(number):
    began = time.monotonic()
    try:
        cache.put(number, "red")
        outcome = "set"
    except Unavailable:
        outcome = "refused"
    return outcome, time.monotonic() - began


cache = RedisCache(sys.argv[1], {"TIMEOUT": 7 * 86400})
cache.put("first", "red")
greenlets = [gevent.spawn(put, number) for number in range(GREENLETS)]
gevent.sleep(0.02)  # some have a reply
for pid in sys.argv[2:]:
    os.kill(int(pid), signal.SIGSTOP)
gevent.joinall(greenlets, raise_error=True)
outcomes = Counter(greenlet.value[0] for greenlet in greenlets)
print(outcomes["set"], outcomes["refused"], max(greenlet.value[1] for greenlet in greenlets))
