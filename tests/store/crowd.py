"""Many greenlets put into one store, given as a URL; prints the outcomes and the longest wait.

With the process id of the store as a second argument, freezes it in the midst of this.
"""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402  everything else is imported after the patch, as gunicorn's worker does
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402

import django  # noqa: E402
import gevent  # noqa: E402

os.environ["DJANGO_SETTINGS_MODULE"] = "tracking_site.settings"
django.setup()

from collector.cache import Unavailable  # noqa: E402
from collector.cache.redis import RedisCache  # noqa: E402

GREENLETS = 2000


def put(number):
    began = time.monotonic()
    try:
        cache.put(number, "red")
        outcome = "set"
    except Unavailable:
        outcome = "unavailable"
    return outcome, time.monotonic() - began


cache = RedisCache(sys.argv[1], {"OPTIONS": {"GRANULARITY": 86400}})
cache.put("first", "red")
greenlets = [gevent.spawn(put, number) for number in range(GREENLETS)]
gevent.sleep(0.02)  # some have been answered
for pid in sys.argv[2:]:
    os.kill(int(pid), signal.SIGSTOP)
gevent.joinall(greenlets, raise_error=True)
outcomes = Counter(greenlet.value[0] for greenlet in greenlets)
print(outcomes["set"], outcomes["unavailable"], max(greenlet.value[1] for greenlet in greenlets))
