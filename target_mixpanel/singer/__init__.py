"""The Singer door: messages on stdin become records of the engine, and its STATE goes to stdout."""
