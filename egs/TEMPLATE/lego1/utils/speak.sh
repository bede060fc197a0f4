# shellcheck shell=bash
# `speak FOLDER ...`: each data folder's English text as synthetic speech, in <folder>_speech. Each set has speakers
# of its own: the first are those of seed 1, the next of seed 2 ... Sourced by local/data.sh.

speak() {
    local folder seed=0
    for folder in "$@"; do
        seed=$((seed + 1))
        "${python:-python3}" -m legonn.bin.synthesize --text "${folder}/text.tc.en" --output "${folder}_speech" \
            --language en --seed "${seed}" --nj "${nj:-2}"
    done
}
