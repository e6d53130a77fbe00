"""eibert: compress a fine-tuned BERT-family teacher into an NLU bundle of at most 1.91 MB."""

__version__ = "0.1.0"
