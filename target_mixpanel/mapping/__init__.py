"""StreamSpec and a stream's schema → a plan that maps records; pure, no I/O, no SDK."""
