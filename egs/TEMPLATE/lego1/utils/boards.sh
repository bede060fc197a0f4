# shellcheck shell=bash disable=SC2034,SC2154
# What the recipes' board.sh share: options with their defaults, and the commands of their experiments. Reads seeds, the
# array remaining, and where they are set train_args, more_scores and metrics, of the board that sources it.

expdir=exp
results=results.json
report=RESULTS.md
lego_args= # more options of every training
plan=false
program=(./run.sh) # what runs an experiment, with options that all have

recipe() { # recipe EXPERIMENT SYSTEM OPTION ...: the program, its scores noted under that name
    local experiment=$1 system=$2 scores
    shift 2
    scores="--results ${results} --experiment ${experiment} --system_name ${system} ${more_scores:-}"
    local command=("${program[@]}" --expdir "${expdir}" --stop_stage 13
        --score_args "${metrics:+--metric ${metrics} }${scores}"
        "$@" ${remaining[@]+"${remaining[@]}"})
    if [ "${plan}" = true ]; then
        printf '%q ' "${command[@]}"
        echo
    else
        "${command[@]}"
    fi
}

train() { # train EXPERIMENT SYSTEM NAME CONFIG SEED OPTION ...
    local experiment=$1 system=$2 exp=${expdir}/$3_s$5 config=$4 seed=$5
    shift 5
    recipe "${experiment}" "${system}" --lego_exp "${exp}" --lego_config "${config}" \
        --lego_args "--seed ${seed} ${train_args:-} ${lego_args}" "$@"
}

swap() { # swap EXPERIMENT SYSTEM ENCODER DECODER SEED OPTION ...: of these experiments in expdir
    compose "$1" "$2" "${expdir}/$3" "${expdir}/$4" "${@:5}"
}

compose() { # compose EXPERIMENT SYSTEM ENCODER DECODER SEED OPTION ...: of these, wherever they are
    local experiment=$1 system=$2 encoder=$3 decoder=$4 seed=$5
    shift 5
    more_scores="--seed ${seed}" recipe "${experiment}" "${system}" --stage 12 --skip_train true \
        --pretrained_encoder "${encoder}" --pretrained_decoder "${decoder}" "$@"
}

next_seed() { # next_seed SEED: the seed whose decoder is put behind this one's encoder
    local list i
    read -ra list <<<"${seeds}"
    for i in "${!list[@]}"; do
        [ "${list[i]}" != "$1" ] || echo "${list[(i + 1) % ${#list[@]}]}"
    done
}
