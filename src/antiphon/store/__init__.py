"""The database: the only Django app (label "antiphon"). One module per store port; only `api` and `run` import it.

Call `store.settings.configure` before anything else of this package: the models need a configured Django.
"""
