"""What a program needs of Linux, how well each need is covered, and what to expect of running it."""
