"""Development tools: benchmarks and checks."""
