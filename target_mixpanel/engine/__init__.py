"""One run, whoever brings the records."""
