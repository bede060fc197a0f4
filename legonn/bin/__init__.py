"""One file a verb of `legonn`: parse, call the library, print.

Each has ``get_parser() -> ArgumentParser`` and ``main(argv=None) -> int``, and runs as
``python -m legonn.bin.<verb>`` too. Nothing heavy is imported before the arguments are parsed, so
that ``--help`` answers at once.
"""
