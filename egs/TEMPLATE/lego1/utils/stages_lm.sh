# shellcheck shell=bash
# Stages 6 to 8: one of ESPnet's language models, of the tokens that the decoder writes. Sourced by lego.sh, whose options
# these functions read.
# shellcheck disable=SC2154 # variables are lego.sh's

lm_task() { # lm_task ...: the arguments that statistics and training have in common, and more
    # shellcheck disable=SC2086
    printf '%s\n' --config "${lm_config}" --token_list "${tgt_list}/tokens.txt" \
        --token_type bpe --bpemodel "${tgt_list}/bpe.model" \
        --train_data_path_and_name_and_type "${lm_train_text},text,text" \
        --valid_data_path_and_name_and_type "${lm_dev_text},text,text" "$@" ${lm_args}
}

need_lm_data() {
    need "${lm_config}" "--lm_config names a YAML file"
    need "${lm_train_text}" "run stages 1 to 4, or name a Kaldi text with --lm_train_text"
    need "${lm_dev_text}" "run stages 1 to 4"
    need "${tgt_list}/tokens.txt" "run stage 5"
}

lm_key() { # what training depends on; the lengths only on the sums
    printf 'lm_args=%s\n' "${lm_args}"
    settings "${lm_config}"
    lm_sums
}

lm_sums() {
    sums "${lm_train_text}" "${lm_dev_text}" "${tgt_list}/tokens.txt" "${tgt_list}/bpe.model"
}

# ---- Stage 6: lengths ----------------------------------------------------------------------------
collect_lm_stats() {
    local task
    rm -rf "${lm_stats_dir}/train" "${lm_stats_dir}/valid"
    mapfile -t task < <(lm_task --collect_stats true --output_dir "${lm_stats_dir}" \
        --train_shape_file "${lm_train_text}" --valid_shape_file "${lm_dev_text}")
    # shellcheck disable=SC2086
    ${train_cmd} "${lm_stats_dir}/stats.log" "${python}" -m legonn.bin.train_lm "${task[@]}" ||
        die "the text's lengths can't be collected: see ${lm_stats_dir}/stats.log"
    append_size "${lm_stats_dir}/train/text_shape" "${tgt_list}/tokens.txt"
    append_size "${lm_stats_dir}/valid/text_shape" "${tgt_list}/tokens.txt"
}

stage_lm_stats() {
    need_lm_data
    once "${lm_stats_dir}/.done" "$(lm_sums)" collect_lm_stats
}

# ---- Stage 7: training ---------------------------------------------------------------------------
train_lm() {
    local task
    mapfile -t task < <(lm_task --collect_stats false --resume true --output_dir "${lm_exp}" \
        --train_shape_file "${lm_stats_dir}/train/text_shape.bpe" \
        --valid_shape_file "${lm_stats_dir}/valid/text_shape.bpe")
    set_log_aside "${lm_exp}"
    OMP_NUM_THREADS=${num_threads} with_progress epochs "${lm_exp}/train.log" 0 "stage 7" epochs \
        launch "${lm_exp}" -m legonn.bin.train_lm "${task[@]}" 2>"${lm_exp}/launch.log" ||
        training_failed "${lm_exp}"
}

stage_lm_train() {
    local key
    need_lm_data
    key=$(lm_key)
    stamp_is "${lm_stats_dir}/.done" "$(lm_sums)" ||
        die "${lm_stats_dir} has no lengths of this text: run stage 6"
    mkdir -p "${lm_exp}"
    begin_training "${lm_exp}" "${key}" --lm_tag
    once "${lm_exp}/.done" "${key}" train_lm
}

# ---- Stage 8: perplexity -------------------------------------------------------------------------
calculate_perplexity() {
    local folder=${lm_exp}/perplexity
    mkdir -p "${folder}"
    # shellcheck disable=SC2086
    ${decode_cmd} "${folder}/log" "${python}" -m legonn.perplexity --lm "${lm_exp}:${inference_lm}" \
        --text "${lm_dev_text}" --output "${folder}" ||
        die "the perplexity can't be calculated: see ${folder}/log"
}

stage_lm_perplexity() {
    need "${lm_exp}/.done" "run stage 7"
    need "${lm_exp}/${inference_lm}" "name one of ${lm_exp} with --inference_lm"
    once "${lm_exp}/perplexity/.done" "$(sums "${lm_dev_text}" "${lm_exp}/${inference_lm}")" calculate_perplexity
    log "perplexity of ${lm_dev_text}: $(awk '{ printf "%.2f", $1 }' "${lm_exp}/perplexity/ppl") a token"
}
