"""What Antiphon tells its operator: logs, figures, and the removal of secrets from both."""
