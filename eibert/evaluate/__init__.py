"""Evaluates models: quality, rivals of the same size, significance of differences, cost of inference."""
