"""The typed form of params.yaml: one module and one frozen model per stage.

A stage imports its own module only, so that a new parameter of one stage is no change to the code of another.
"""
