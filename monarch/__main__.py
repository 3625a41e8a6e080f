"""``python -m monarch``."""

from monarch.commands import main

if __name__ == "__main__":
    main()
