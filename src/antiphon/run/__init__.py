"""Putting the program together: wiring, roles, the one port, and the command line. Everything may import nothing here."""
