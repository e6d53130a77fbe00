"""The data gate in parts: rows with marks, rules, the run of Great Expectations, and the page."""
