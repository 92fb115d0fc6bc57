"""The WSGI module that `manage.py demo` serves: the server with a made-up past in its memory."""

import json
import os

from simulation.fleet import Fleet
from simulation.playback import play
from tracking_site.wsgi import application

__all__ = ["application"]

play(Fleet(**json.loads(os.environ["DEMO_FLEET"])))
