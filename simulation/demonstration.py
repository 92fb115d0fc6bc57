"""The WSGI module that `manage.py demo` serves: the server with a made-up past in its memory."""

import json
import os
from datetime import UTC, datetime

from collector.config import read, source
from simulation.fleet import Fleet
from simulation.playback import play
from tracking_site.wsgi import application

__all__ = ["application"]

fleet = Fleet(**json.loads(os.environ["DEMO_FLEET"]))
if not source.setting:
    source.in_force = read(fleet.table(datetime.now(UTC).date()))
play(fleet)
