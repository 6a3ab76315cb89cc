"""Cliffhanger: tells fans when a season is renewed, dated or gets a trailer."""
