# shellcheck shell=bash
# Stages 14 and 15: modules, packed and published. Sourced by lego.sh, whose options these functions read.
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

stage_publish() {
    local module
    if [ -z "${hub_name}" ]; then
        log "stage 15: publishing is skipped: --hub_name hf:OWNER/NAME says where to"
        return
    fi
    ! "${composed}" || die "a composition has no modules of its own: publish an experiment's"
    need "${lego_exp}/modules/.done" "run stage 14"
    for module in "${lego_exp}"/modules/*; do # one that is a file is refused, with the remedy
        log "stage 15: publishing ${module}"
        "${python}" -m legonn.bin.publish "${module}" --to "${hub_name}-${module##*_}"
    done
}
