"""Loads a bundle and predicts; needs only numpy, onnxruntime and tokenizers."""
