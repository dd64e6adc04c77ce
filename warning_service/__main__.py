"""`python -m warning_service` is the `kizashi` command."""

from warning_service.cli import main

if __name__ == "__main__":
    main()
