"""Data folders in Kaldi form: reading, checking, filtering, and the corpora made here."""
