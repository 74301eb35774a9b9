"""Measurements against other queues: `python -m benchmarks`. See README.md; nothing of groupqueue imports this."""
