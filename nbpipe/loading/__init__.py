"""From notebooks, project modules and nbpipe.toml to definitions, without running any of the project's code."""
