"""The suite is a module and no test file: its asserts are to be told as well as any test's."""

import pytest

pytest.register_assert_rewrite("weft.testing.store_suite", "weft.testing.store_reading")
