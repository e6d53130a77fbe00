"""Load a bundle and predict: numpy, onnxruntime and tokenizers, nothing else."""
