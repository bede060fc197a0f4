# shellcheck shell=bash
# Where the corpus is: a folder with <set>.<lang>.gz. Empty: downloaded from its public home.
MULTI30K="${MULTI30K:-}"
