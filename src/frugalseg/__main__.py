"""``python -m frugalseg`` is the `frugalseg` command."""

from frugalseg.cli import main

if __name__ == "__main__":
    main()
