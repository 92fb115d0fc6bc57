"""The WSGI module that `manage.py demo` serves: the server with a made-up past in its memory."""

import json
import os

from simulation.fleet import Fleet
from simulation.playback import play
from tracking_site.wsgi import application

__all__ = ["application"]

fleet = Fleet(**json.loads(os.environ["DEMO_FLEET"]))
play(fleet)
print(f"Made up {fleet.size:,} instances over {fleet.days} days.")
print(f"Open http://127.0.0.1:{os.environ['PORT']}/dashboard. Ctrl-C ends it.", flush=True)
