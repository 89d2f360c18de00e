"""The simulated Discord against the unmodified discord.py, with certificates verified."""
