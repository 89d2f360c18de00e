"""Hashes passwords as the program does, but in a thousandth of the time. What the program itself stores is looked at in
`tests/e2e/test_set_up.py`.
"""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    """Argon2 with the least cost."""

    time_cost = 1
    memory_cost = 64
    parallelism = 1
