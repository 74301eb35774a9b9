"""Other people's code, run with our queues: the interpreter's own tests, and the libraries that take a queue."""
