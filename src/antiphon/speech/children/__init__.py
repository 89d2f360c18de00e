"""Programs that engines run in processes of their own, started by `speech.child` as `python -m`.

They import the standard library, numpy and their own library, so that they start at once and stay small.
"""
