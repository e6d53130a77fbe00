"""Module-wise quantization: choose bits → choose scales → round → (tune) → measure.

Source: EI-BERT as reported: INT8, module by module, after distillation. Choice: symmetric, per output channel and per
row of a table; activations stay float unless a module asks for a calibrated scale (decision 0007); four bits, a search
that spends a byte budget, and tuning under rounding are options (decision 0009). The package imports nothing here, so
that a stage depends on the parts it uses.
"""
