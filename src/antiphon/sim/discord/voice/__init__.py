"""Voice: signalling of the voice gateway, and the packets behind it."""
