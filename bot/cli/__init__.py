"""The `cliffhanger` command: run and demo, the curators' commands, the operator's commands."""
