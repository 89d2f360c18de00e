"""Putting the program together: wiring, roles, the one port, the command line. Nothing imports from here."""
