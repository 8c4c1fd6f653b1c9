"""Programs: flags, and what they call. The root scripts are these.

Each module defines the flags of one program and a function `run`.
"""
