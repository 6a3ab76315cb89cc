"""Stand-ins for the outside world: real implementations of its seams, with a memory."""
