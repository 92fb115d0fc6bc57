"""When a report and its answers count, if they are in a store."""

import pytest
from django.test import override_settings
from hypothesis import settings

from collector.cache import connection
from collector.conf import records_cache
from tests.conftest import EXAMPLES
from tests.unit.numbers.window import Window


@pytest.fixture(autouse=True, scope="module")
def _reports_in_the_store(redis_server):
    connection.client.cache_clear()
    redis_server.reset()
    with override_settings(CACHES={"records": records_cache(redis_url=redis_server.url)}):
        yield


TestWindow = Window.TestCase
TestWindow.settings = settings(stateful_step_count=20, max_examples=max(EXAMPLES // 3, 10))
