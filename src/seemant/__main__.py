"""`python -m seemant` is the command line."""

from seemant.cli.main import main

if __name__ == "__main__":
    main()
