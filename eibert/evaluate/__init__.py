"""Judges models: quality, rivals of the same bytes, significance of differences, cost of the bundle."""
