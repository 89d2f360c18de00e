"""What Antiphon costs, measured beside the machine's own limits in the same run. `make bench [ONLY=name]`."""
