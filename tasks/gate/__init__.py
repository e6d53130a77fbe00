"""The data gate: marked rows, rules, their evaluation by Great Expectations, and the page."""
