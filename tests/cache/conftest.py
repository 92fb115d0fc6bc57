import pytest

# The contracts are not test modules, so their asserts would not explain themselves.
pytest.register_assert_rewrite("tests.cache.contract", "tests.cache.tally_contract")
