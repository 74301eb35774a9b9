import sys

from tests.crash.sweep import main

if __name__ == "__main__":
    sys.exit(main())
