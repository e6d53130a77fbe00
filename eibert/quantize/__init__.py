"""Module-wise quantization: choose bits → choose scales → round → (tune) → measure.

Source: EI-BERT as reported: INT8, module by module, after distillation. Choice: symmetric, per output channel and per
embedding row; activations stay float unless a module asks for a calibrated scale (decision 0007); 4 bits, a bit search
under a byte budget, and quantization-aware tuning are options (decision 0009). Nothing is imported here, so that a
stage depends only on the parts it uses.
"""
