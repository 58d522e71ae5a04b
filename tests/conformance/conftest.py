"""Scenarios are plain modules; pytest should explain their asserts too."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("conformance.scenarios")
