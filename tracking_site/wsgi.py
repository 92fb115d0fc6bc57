"""What `gunicorn tracking_site.wsgi` serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")

application = get_wsgi_application()
