"""The kill test: the bot as its own process, killed again and again, against the fake servers.

    python -m tests.kill --kills 1000

`zygote` forks the processes, `points` lets them die at a named moment, `scene` is the world they
run in, `campaign` kills a bot at work, `migration` an upgrade, and `checker` says from what the
servers accepted and what was published whether the promise was kept.
"""
