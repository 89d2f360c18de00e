"""Live voice without its heavy parts: sound, words, time."""
