"""The state of the simulated Discord: who and what exists. Rules that change it are in `rules`."""
