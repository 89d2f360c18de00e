"""What may happen in the world and what follows from it. REST and the played users go through the same rules."""
