"""RedisCache does what a dictionary does; MemoryCache does too, in tests/unit/cache."""

from hypothesis import given

from collector.cache.redis import RedisCache
from tests.unit.cache.model import OPTIONS, STEPS, assert_agree


@given(steps=STEPS, options=OPTIONS)
def test_redis_cache_agrees_with_a_dictionary_at_each_step(redis_server, steps, options):
    cache = RedisCache(f"{redis_server.url[:-1]}2", {"OPTIONS": options})
    assert_agree(cache, steps, options)
