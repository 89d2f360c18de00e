"""Simulated platforms that speak the real protocols on loopback, for tests and for the demonstration.

They stand for the outside: nothing here imports the product above `config`.
"""
