"""`python -m nbpipe` is the command `nbpipe`, with the Python that was chosen."""

from nbpipe.cli.main import main

if __name__ == "__main__":
    main()
