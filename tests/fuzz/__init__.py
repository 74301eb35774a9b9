"""
Fuzzing of what reads bytes that others have written: the wire, and the journal.

    python -m tests.fuzz wire|journal --minutes 30

A target (wire.py, journal.py) is a function of bytes that raises what is wrong. The runner has atheris look for inputs
that reach new code, and writes each finding into corpus/, which every ordinary run of the tests tries again
(test_slice.py) with some seeded mutations of it.
"""
