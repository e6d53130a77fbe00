"""What an answer costs on this machine: time, memory and bytes of a bundle against other models, measured in turns."""
