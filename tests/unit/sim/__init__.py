"""Rules of the simulated platforms that need no connection."""
