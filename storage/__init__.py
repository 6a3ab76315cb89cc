"""Everything that is kept: the catalogue, the log of updates, subscriptions and deliveries."""
