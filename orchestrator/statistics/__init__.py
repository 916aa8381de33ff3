"""Figures with their uncertainty, and honest comparisons of two methods on the same rows.

Where a figure has no interval, the reason stands in its place (`values.NoInterval`). Nothing here reads a file.
"""
