"""Audio in and out: spoken conversations, whatever carries them.

Start reading at `session.py`. `service.py` is what the rest of the program calls; `transports/` holds one file for each
way that sound comes and goes.
"""
