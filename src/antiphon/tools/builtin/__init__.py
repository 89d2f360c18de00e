"""The tools that come with Antiphon, one file per subject. `source.py` puts them together for the catalog."""
