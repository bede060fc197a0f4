# shellcheck shell=bash
# Stages 12 and 13: decoding and scoring. Sourced by lego.sh, whose options these functions read.
# shellcheck disable=SC2154 # variables are lego.sh's

# ---- Stages 12 and 13: decoding, scoring ---------------------------------------------------------
part_name() { # part_name M: a module's folder or file, hf:OWNER/NAME[@REVISION], EXP[:CHECKPOINT], in a file name
    local folder=${1#hf:} checkpoint=
    folder=${folder%%[:@]*}
    [[ "$1" == hf:* || "${folder}" = "$1" ]] || checkpoint=_$(basename "${1#*:}" .pth)
    echo "$(basename "${folder}" .zip)${checkpoint}"
}

is_module() { # is_module M: a folder with a description, or a file
    [ -f "$1" ] || [ -f "$1/module.yaml" ]
}

with_model() { # with_model M: of an experiment, with --inference_model where no checkpoint is named
    case "$1" in
        *:*) echo "$1" ;;
        *) if is_module "$1"; then echo "$1"; else echo "$1${inference_model:+:${inference_model}}"; fi ;;
    esac
}

description_sum() { # description_sum FOLDER: of a module's, which has its files' hashes, without its seal and scores
    what_it_is <"$1/module.yaml" | sha256sum | cut -d ' ' -f 1
}

what_it_is() {
    awk 'NR > 1 && /^[^ -]/ { left_out = /^scores:/ } NR > 1 && !left_out'
}

checkpoint_sums() { # checkpoint_sums M: what a decoding, or a training from it, depends on
    local folder=${1%%:*} module
    if [[ "$1" == hf:* ]]; then # a branch may have moved
        module=$("${python}" "${utils}/module_folder.py" "$1") || return
        echo "$1 $(description_sum "${module}")"
    elif [ -f "$1" ]; then
        sums "$1"
    elif is_module "$1"; then
        echo "$(description_sum "$1")  $1/module.yaml"
    elif [ "${folder}" != "$1" ]; then
        need "${folder}/config.yaml" "it is no experiment and no module; run stage 11, or mend the name"
        need "${folder}/${1#*:}" "no such checkpoint in ${folder}"
        sums "${folder}/config.yaml" "${folder}/${1#*:}"
    else
        need "${folder}/config.yaml" "it is no experiment and no module; run stage 11, or mend the name"
        find "${folder}" -maxdepth 1 -name '*.pth' ! -name checkpoint.pth | LC_ALL=C sort |
            xargs sha256sum "${folder}/config.yaml" --
    fi
}

decode_set() { # decode_set SET KEY
    local folder=${decode_exp}/${inference_tag}/$1 input jobs job name files stale
    local form=(--input_format kaldi)
    ! hears || form=(--max_seconds "$(at_least 4 "${max_wav_duration}")")
    local logdir=${folder}/logdir
    input=$(raw_folder "$1")/${src_file}
    jobs=$(at_most "${inference_nj}" "${input}")
    rm -f "${folder}"/{text,token,score,score.json,.decode_seconds}
    mkdir -p "${logdir}"
    printf '%s\n' "jobs=${jobs}" "$2" >"${logdir}/.key"
    split_keys "${input}" "${jobs}" "${logdir}/keys"
    for stale in "${logdir}"/output.* "${logdir}"/decode.*.log; do # of a run with more jobs
        job=${stale#"${logdir}"/*.}
        job=${job%.log}
        if [[ "${job}" =~ ^[0-9]+$ ]] && [ "${job}" -gt "${jobs}" ]; then rm -rf "${stale}"; fi
    done
    # shellcheck disable=SC2086
    with_progress lines "${logdir}/output.*/1best_recog/text*" "$(wc -l <"${input}")" \
        "stage 12, $1" lines \
        ${decode_cmd} --gpu "$((ngpu > 0 ? 1 : 0))" JOB=1:"${jobs}" "${logdir}/decode.JOB.log" \
        "${utils}/once.py" "${logdir}/output.JOB" "${logdir}/.key" \
        "${python}" -m legonn.bin.decode "${system_options[@]}" \
        --input "${input}" "${form[@]}" --key_file "${logdir}/keys.JOB.scp" \
        --output "${logdir}/output.JOB" --ngpu "$((ngpu > 0 ? 1 : 0))" --num_processes 1 \
        ${inference_config:+--config "${inference_config}"} ${inference_args}
    grep -h 'warning:' "${logdir}"/decode.*.log | sort -u >&2 || true
    for name in text token score; do
        files=()
        for job in $(seq "${jobs}"); do files+=("${logdir}/output.${job}/1best_recog/${name}"); done
        LC_ALL=C sort -k 1,1 "${files[@]}" >"${folder}/${name}.tmp"
        mv -f "${folder}/${name}.tmp" "${folder}/${name}"
    done
    sort -n "${logdir}"/output.*/.seconds | tail -n 1 >"${folder}/.decode_seconds"
}

at_least() { # at_least N X: the larger of two numbers
    awk -v n="$1" -v x="$2" 'BEGIN { print (x > n ? x : n) }'
}

stage_decode() {
    local set key part inputs from
    [ -z "${inference_config}" ] || need "${inference_config}" "--inference_config names a YAML file"
    key="args=${inference_args} system=${system_options[*]}"
    ! hears || key+=" max_wav_duration=${max_wav_duration}"
    if [ -n "${inference_config}" ]; then key+=$'\n'$(settings "${inference_config}"); else key+=" mode=auto"; fi
    for part in "${decoded[@]}"; do
        part=$(with_model "${part}")
        key+=$'\n'$(checkpoint_sums "${part}")
    done
    for set in ${test_sets}; do
        from=$(raw_folder "${set}")
        need "${from}/${src_file}" "run stages 1 to 3"
        log "decoding ${set} -> ${decode_exp}/${inference_tag}/${set}"
        inputs=$(
            sums "${from}/${src_file}"
            ! hears || prepared_in "${from}"
        )
        once "${decode_exp}/${inference_tag}/${set}/.done" "${key}"$'\n'"${inputs}" \
            decode_set "${set}" "${key}"$'\n'"${inputs}"
    done
}

speakers() { # speakers FOLDER: how many are known
    cut -d ' ' -f 2- "$1/utt2spk" 2>/dev/null | LC_ALL=C sort -u | wc -l
}

baselines() { # baselines SET: --compare_with as NAME=FILE lines for legonn.bin.score
    local item folder
    for item in ${compare_with}; do
        folder=${item#*=}
        need "${folder}/$1/text" "--compare_with names [NAME=]FOLDER, decoded by stage 12"
        # By default a baseline has the name of its experiment.
        [ "${folder}" != "${item}" ] || item=$(basename "$(dirname "${folder}")")
        echo "${item%%=*}=${folder}/$1/text"
    done
}

stage_score() {
    local set from folder more compared facts=
    # Compositions, ensembles, and systems with a language model have parents, not a training of their own.
    "${composed}" || [ -n "${ensemble}${lm}" ] || facts=$("${utils}/training_facts.py" "${lego_exp}")
    for set in ${test_sets}; do
        from=$(raw_folder "${set}")
        folder=${decode_exp}/${inference_tag}/${set}
        need "${folder}/.done" "run stage 12"
        more=(--system_name "$(basename "${decode_exp}")" --test_set "${set}"
            --recipe "$(basename "$(dirname "${PWD}")")"
            --decode_seconds "$(cat "${folder}/.decode_seconds")"
            --command "${LEGONN_COMMAND:-${recipe_command}}")
        if [ -n "${compare_with}" ]; then
            compared=$(baselines "${set}")
            mapfile -t compared <<<"${compared}"
            more+=(--compare "${compared[@]}")
        fi
        if hears && [ "${src_lang}" = "${tgt_lang}" ]; then
            more+=(--metric "wer,cer" --alignments "${folder}/alignments.txt")
            [ "$(speakers "${from}")" -lt 2 ] || more+=(--utt2spk "${from}/utt2spk")
        fi
        ! hears || [ ! -f "data/${set}/synthesis.yaml" ] || more+=(--synthetic)
        [ ! -f "data/${set}/utt2group" ] || more+=(--utt2group "data/${set}/utt2group")
        # shellcheck disable=SC2086
        "${python}" -m legonn.bin.score --format kaldi --hyp "${folder}/text" --ref "${from}/${tgt_file}" \
            --output "${folder}/score.json" "${more[@]}" ${facts} ${score_args}
    done
}
