"""The command line: one module per command, and how a command starts, fails and exits."""
