# shellcheck shell=bash
# Where the corpus is: a folder with train, test and resource. Empty: fetched from its public home.
SPEECHOCEAN762="${SPEECHOCEAN762:-}"
