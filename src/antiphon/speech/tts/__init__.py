"""Engines that speak: each file is one, and its name is its word in the settings."""
