"""Real programs through the real command line, compared with native Linux."""
