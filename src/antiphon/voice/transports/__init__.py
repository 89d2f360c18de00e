"""How sound and small messages reach a person. `transport.py` says what all of them offer to the engine."""
