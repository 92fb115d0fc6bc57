import pytest

from tests.cache.redis_server import RedisServer

# The contracts are not test modules, so their asserts would not explain themselves.
pytest.register_assert_rewrite("tests.cache.contract", "tests.cache.tally_contract")


@pytest.fixture(scope="session")
def redis_server():
    server = RedisServer()
    yield server
    server.stop()
