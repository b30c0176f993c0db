"""What an operator set, parsed and checked once."""
