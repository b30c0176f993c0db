"""Hosts that bring their own records. Each file imports its platform, nobody else does."""
