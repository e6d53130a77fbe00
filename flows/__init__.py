"""The order of the stages and the `eibert` command. `tasks` and `eibert` never import this package."""
