"""Where rejected records go."""
