"""The order of the stages and the `eibert` command. Nothing imports this package."""
