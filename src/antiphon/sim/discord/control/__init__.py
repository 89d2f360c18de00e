"""How a test or a page plays people in the simulated Discord, breaks things, and reads what happened."""
