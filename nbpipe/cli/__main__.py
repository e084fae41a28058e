"""Run the command line as `python -m nbpipe.cli`."""

from nbpipe.cli.main import main

main()
