"""Run the command line by `python -m modellego`."""

from modellego.cli import main

if __name__ == "__main__":
    main()
