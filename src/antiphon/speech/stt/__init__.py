"""Engines that listen: each file is one, and its name is its word in the settings."""
