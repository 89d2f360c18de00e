"""A client of Riva's public interface that shares no code with the program; see `client.py`."""
