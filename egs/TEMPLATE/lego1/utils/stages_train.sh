# shellcheck shell=bash
# Stages 10 and 11: statistics and training. Sourced by lego.sh, whose options these functions read.
# shellcheck disable=SC2154 # variables are lego.sh's

# ---- Stage 10: statistics ------------------------------------------------------------------------
need_rate() { # before hours of preparation; of a pretrained encoder training looks itself
    local rate
    hears && [ -z "${pretrained_encoder}" ] && [ -f "${lego_config}" ] || return 0
    rate=$(feature_settings | grep sample_rate | tail -n 1 | grep -oE '[0-9]+' || echo 16000)
    [ "${rate}" = "${fs}" ] ||
        die "--fs ${fs}: the encoder hears ${rate} Hz: give --lego_args \"--encoder_conf sample_rate=${fs}\", too"
}

need_training_data() {
    local file
    for file in "${training_texts[@]}"; do need "${file}" "run stages 1 to 4"; done
    need_options
    for file in "${list_files[@]}"; do need "${file}" "run stage 5"; done
    need_interface_list
    need "${lego_config}" "--lego_config names a YAML file"
}

split_keys() { # split_keys FILE N PREFIX: lines in turn to PREFIX.1.scp ... PREFIX.N.scp
    rm -f "$3".*.scp
    awk -v n="$2" -v prefix="$3" '{ print > (prefix "." ((NR - 1) % n + 1) ".scp") }' "$1"
}

at_most() { # at_most N FILE ...: N, or the lines of the shortest file if that is less
    local n=$1 lines file
    shift
    for file in "$@"; do
        lines=$(wc -l <"${file}")
        [ "${lines}" -ge "${n}" ] || n=${lines}
    done
    echo "${n}"
}

with_progress() { # with_progress COUNT PATTERN TOTAL NAME UNIT COMMAND ...
    local status=0 watcher
    "${utils}/progress.py" --count "$1" --pattern "$2" --total "$3" --name "$4" --unit "$5" &
    watcher=$!
    shift 5
    "$@" || status=$?
    kill "${watcher}" 2>/dev/null || true
    wait "${watcher}" 2>/dev/null || true
    return "${status}"
}

finish_shapes() { # finish_shapes DIR: sorted, so that the number of jobs leaves no trace; with sizes
    local shape
    for shape in "$1"/*_shape; do
        LC_ALL=C sort -k 1,1 -o "${shape}" "${shape}"
    done
    hears || append_size "$1/src_text_shape" "${src_list_files[0]}"
    append_size "$1/text_shape" "${tgt_list}/tokens.txt"
}

append_size() { # append_size SHAPE LIST: "id 12" -> "id 12,2000", what --batch_type numel reads
    awk -v size="$(wc -l <"$2")" '{ print $0 "," size }' "$1" >"$1.bpe"
}

collect_stats() {
    local logdir=${lego_stats_dir}/logdir jobs job inputs=()
    jobs=$(at_most "${nj}" "${training_texts[0]}" "${training_texts[2]}")
    rm -rf "${lego_stats_dir}/train" "${lego_stats_dir}/valid"
    mkdir -p "${logdir}"
    printf '%s\n' "jobs=${jobs}" "$1" >"${logdir}/.key"
    split_keys "${training_texts[0]}" "${jobs}" "${logdir}/train"
    split_keys "${training_texts[2]}" "${jobs}" "${logdir}/valid"
    # shellcheck disable=SC2086
    with_progress files "${logdir}/stats.*/.done" "${jobs}" "stage 10" jobs \
        ${train_cmd} JOB=1:"${jobs}" "${logdir}/stats.JOB.log" \
        "${utils}/once.py" "${logdir}/stats.JOB" "${logdir}/.key" \
        "${python}" -m legonn.bin.train --collect_stats true "${task_options[@]}" \
        --train_shape_file "${logdir}/train.JOB.scp" --valid_shape_file "${logdir}/valid.JOB.scp" \
        --output_dir "${logdir}/stats.JOB" --config "${lego_config}" ${lego_args}
    for job in $(seq "${jobs}"); do inputs+=(--input_dir "${logdir}/stats.${job}"); done
    feature_settings | grep -q 'normalisation.*global' || inputs+=(--skip_sum_stats)
    "${python}" -m espnet2.bin.aggregate_stats_dirs "${inputs[@]}" \
        --output_dir "${lego_stats_dir}" 2>"${logdir}/aggregate.log" ||
        die "the jobs' statistics can't be joined: see ${logdir}/aggregate.log"
    finish_shapes "${lego_stats_dir}/train"
    finish_shapes "${lego_stats_dir}/valid"
}

feature_settings() { # of a speech encoder: what its statistics depend on, one a line; the last counts
    local names='(mels|normalisation|sample_rate)'
    hears || return 0
    settings "${lego_config}" | grep '^encoder_conf' | grep -oE "\"${names}\": [^,}]*" || true
    grep -oE "${names}=[^ ]*" <<<"${lego_args}" || true
}

stats_key() { # what statistics depend on
    sums "${training_texts[@]}" "${list_files[@]}" ${interface_files[@]+"${interface_files[@]}"} | cut -d ' ' -f 1
    [ -z "${interface_listdir}" ] || echo "interface_lang=${interface_lang}"
    prepared_sums "${train_set}" "${valid_set}"
    feature_settings
}

stage_stats() {
    local key own=()
    need_training_data
    key=$(stats_key)
    once "${lego_stats_dir}/.done" "${key}" collect_stats "${key}"
    # Each time: the length ratio is the config's, the statistics may be another experiment's.
    [ -z "${pretrained_encoder}" ] || own=(--pretrained_encoder "${pretrained_encoder}")
    [ -z "${pretrained_bridge}" ] || own+=(--pretrained_bridge "${pretrained_bridge}")
    "${python}" -m legonn.bin.stats --stats_dir "${lego_stats_dir}" --config "${lego_config}" \
        --lego_args="${lego_args}${interface_listdir:+ --chain_conf encoder_target=text_bpe}" ${own[@]+"${own[@]}"}
}

# ---- Stage 11: training --------------------------------------------------------------------------
settings() { # settings FILE: what a YAML file and its bases say, in one order, without comments
    "${python}" "${utils}/settings.py" "$1"
}

begin_training() { # begin_training FOLDER KEY OPTION: unless other settings did; OPTION gives another folder
    local stamp
    for stamp in "$1/.done" "$1/.begun"; do
        if [ -f "${stamp}" ] && ! stamp_is "${stamp}" "$2"; then
            stamp_difference "${stamp}" "$2" >&2
            die "$1 was trained, or begun, with other settings (above, - old, + new):" \
                "give this one a name with $3, or remove $1"
        fi
    done
    stamp_write "$1/.begun" "$2"
}

write_rerun_script() { # the command that trains this experiment, in its own folder
    local script=${lego_exp}/run.sh
    {
        echo "#!/usr/bin/env bash"
        echo "# Trains this experiment again, or goes on with it; more options may follow."
        echo "set -euo pipefail"
        printf 'cd %q\n' "${PWD}"
        echo "${recipe_command}--stage 10 --stop_stage 11 \"\$@\""
    } >"${script}.tmp.$$"
    chmod +x "${script}.tmp.$$"
    mv -f "${script}.tmp.$$" "${script}"
}

set_log_aside() { # set_log_aside FOLDER: an earlier run's, as train.N.log, for its warnings would be taken for this one's
    local n=1
    [ -f "$1/train.log" ] || return 0
    while [ -e "$1/train.${n}.log" ]; do n=$((n + 1)); done
    mv "$1/train.log" "$1/train.${n}.log"
}

launch() { # launch FOLDER COMMAND ...: as espnet2.bin.launch or torchrun does; the logs go there
    local backend=gloo processes=${num_procs} folder=$1 starter=${cuda_cmd}
    shift
    [ "${ngpu}" -eq 0 ] || processes=${ngpu}
    # For several nodes ESPnet asks for one thread a GPU, whatever stands here; what SLURM_OPTIONS say counts.
    [[ "${starter}" == *--num[_-]threads* ]] || starter+=" --num_threads $((num_threads * processes))"
    if [ "${launcher}" = espnet ]; then
        "${python}" -m espnet2.bin.launch --cmd "${starter}" --log "${folder}/train.log" \
            --ngpu "${ngpu}" --num_nodes "${num_nodes}" \
            --init_file_prefix "${folder}/.dist_init_" --multiprocessing_distributed true -- \
            "${python}" "$@"
        return
    fi
    [ "${ngpu}" -eq 0 ] || backend=nccl
    # shellcheck disable=SC2086
    ${starter} --gpu "${ngpu}" "${folder}/train.log" \
        "${python}" -m torch.distributed.run --nproc_per_node "${processes}" ${torchrun_args} \
        "$@" --ngpu "$((ngpu > 0 ? 1 : 0))" --multiprocessing_distributed false \
        --dist_backend "${backend}"
}

train() {
    local src_shape=src_text_shape.bpe statistics=()
    ! hears || src_shape=speech_shape
    [ ! -f "${lego_stats_dir}/train/feats_stats.npz" ] ||
        statistics=(--feats_stats "${lego_stats_dir}/train/feats_stats.npz")
    set_log_aside "${lego_exp}"
    # shellcheck disable=SC2086
    # Large pages (glibc 2.35 and newer; others ignore it) make training on a CPU some hundredths faster.
    OMP_NUM_THREADS=${num_threads} GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1} \
        with_progress epochs "${lego_exp}/train.log" 0 "stage 11" epochs \
        launch "${lego_exp}" -m legonn.bin.train --collect_stats false "${task_options[@]}" \
        --resume true --output_dir "${lego_exp}" --config "${lego_config}" \
        --train_shape_file "${lego_stats_dir}/train/${src_shape}" \
        --train_shape_file "${lego_stats_dir}/train/text_shape.bpe" \
        --valid_shape_file "${lego_stats_dir}/valid/${src_shape}" \
        --valid_shape_file "${lego_stats_dir}/valid/text_shape.bpe" \
        ${statistics[@]+"${statistics[@]}"} ${lego_args} 2>"${lego_exp}/launch.log" || training_failed "${lego_exp}"
}

training_failed() { # training_failed FOLDER
    # Before the first epoch's end nothing is kept that another configuration could spoil.
    [ -f "$1/checkpoint.pth" ] || rm -f "$1/.begun"
    # A mistake of the configuration is one message; launchers repeat it among their own.
    sed -n '/^legonn train[_lm]*: error: /,$p' "$1/train.log" 2>/dev/null | grep . >&2 ||
        tail -n 20 "$1/train.log" "$1/launch.log" >&2 || true
    die "training failed: see $1/train.log"
}

stage_train() {
    local key part given
    need_training_data
    stamp_is "${lego_stats_dir}/.done" "$(stats_key)" ||
        die "${lego_stats_dir} has no statistics of these training and validation sets: run stage 10"
    read -rd '' -a given <<<"${lego_args}" || true # one blank is as good as two, or a new line
    key="lego_args=${given[*]-}"$'\n'$(settings "${lego_config}")$'\n'
    key+=$(
        sums "${training_texts[@]}" "${list_files[@]}" ${interface_files[@]+"${interface_files[@]}"}
        prepared_sums "${train_set}" "${valid_set}"
    )
    [ "${interface_lang:-${tgt_lang}}" = "${tgt_lang}" ] || key+=$'\n'"interface_lang=${interface_lang}"
    [ -z "${freeze}" ] || key+=$'\n'"freeze=${freeze}"
    [ "${tgt_punctuation}" = true ] || key+=$'\n'"tgt_punctuation=${tgt_punctuation}"
    for part in ${parts[@]+"${parts[@]}"}; do
        key+=$'\n'$(checkpoint_sums "${part}")
    done
    mkdir -p "${lego_exp}"
    begin_training "${lego_exp}" "${key}" --lego_tag
    write_rerun_script
    once "${lego_exp}/.done" "${key}" train
    grep -ho 'frozen: .*' "${lego_exp}/train.log" | sort -u || true
    log "experiment: ${lego_exp}; again: ${lego_exp}/run.sh"
}
