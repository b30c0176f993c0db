"""Bytes in folders and buckets, and the rows that they are."""
