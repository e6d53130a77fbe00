"""The typed form of params.yaml: one module and one frozen model per stage.

A stage imports only its own module, so adding a parameter to one stage does not change the code of another.
"""
