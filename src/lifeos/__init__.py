"""lifeos: a git-native, exception-based autonomous build system."""

__version__ = "0.1.0"
