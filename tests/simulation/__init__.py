"""The simulation: the real poll, outbox and error code on a virtual clock, among seeded faults.

Nothing waits and nothing is random: a scenario of days takes seconds, and equal seeds give equal
traces, byte by byte. The platforms are played in this process; the database is a real SQLite file.
"""
