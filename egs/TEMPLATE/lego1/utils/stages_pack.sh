# shellcheck shell=bash
# Stage 14: modules. Sourced by lego.sh, whose options these functions read.
# shellcheck disable=SC2154 # variables are lego.sh's

pack() { # beside the old ones, then in their place
    local folder=${lego_exp}/modules
    rm -rf "${folder}.new"
    # shellcheck disable=SC2086
    "${python}" -m legonn.bin.pack "$(with_model "${lego_exp}")" --output "${folder}.new" ${pack_args}
    rm -rf "${folder}"
    mv "${folder}.new" "${folder}"
}

stage_pack() {
    local key score
    if "${composed}"; then
        log "nothing to pack: legonn compose makes an experiment of these parts"
        return
    fi
    need "${lego_exp}/.done" "run stage 11"
    if grep -q '^system: attention' "${lego_exp}/config.yaml"; then
        log "nothing to pack: a plain encoder-decoder has no interface"
        return
    fi
    key="args=${pack_args}"$'\n'$(checkpoint_sums "$(with_model "${lego_exp}")")
    for score in "${lego_exp}"/*/*/score.json; do
        [ ! -f "${score}" ] || key+=$'\n'$(sums "${score}")
    done
    once "${lego_exp}/modules/.done" "${key}" pack
}
