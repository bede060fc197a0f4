#!/usr/bin/env bash
# The stages of a LegoNN recipe. Called by a recipe's run.sh from the recipe's folder; see --help.
set -euo pipefail
shopt -s inherit_errexit

template=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
utils=${template}/utils
recipe_command=$(printf '%q ' "$0" "$@")
export LEGONN_RECIPE_PID=$$ # launchers end their jobs when the recipe is killed
# shellcheck source-path=SCRIPTDIR/utils
. "${utils}/stamp.sh"
. "${utils}/options.sh"
. "${utils}/stages_data.sh"
. "${utils}/stages_train.sh"
. "${utils}/stages_lm.sh"
. "${utils}/stages_decode.sh"
. "${utils}/stages_pack.sh"

# General
stage=1
stop_stage=15
skip_train=false
ngpu=0
num_nodes=1
num_threads=2
launcher=espnet
num_procs=1
torchrun_args=--standalone
nj=2
inference_nj=2
python=python3
expdir=exp
dumpdir=dump
# Data
src_modality=text
local_data_opts=
train_set=
valid_set=
test_sets=
src_lang=
tgt_lang=
src_case=tc
tgt_case=tc
tgt_punctuation=true
min_text_length=1
max_text_length=1000
fs=16k
speed_perturb_factors=
audio_format=flac
min_wav_duration=0.1
max_wav_duration=30
allow_pipes=false
skip_bad=0
# Token lists
token_type=bpe
nbpe=2000
src_nbpe=
tgt_nbpe=
bpemode=unigram
character_coverage=1.0
joint_tokens=false
token_tag=
token_listdir=
src_token_listdir=
interface_listdir=
interface_lang=
# Language model
use_lm=false
lm_config=conf/train_lm.yaml
lm_args=
lm_tag=
lm_exp=
lm_stats_dir=
lm_train_text=
inference_lm=valid.loss.ave.pth
pretrained_lm=
# Training
lego_config=conf/train.yaml
lego_args=
lego_tag=
lego_exp=
lego_stats_dir=
# Decoding and scoring
inference_config=
inference_args=
inference_tag=
inference_model=
pretrained_encoder=
pretrained_bridge=
pretrained_decoder=
ensemble=
freeze=
compare_with=
score_args=
# Modules
pack_args=
hub_name=

# shellcheck disable=SC2329 # parse_options calls it
help_message() {
    cat <<'EOF'
lego.sh trains, decodes and scores a LegoNN system on data folders. A recipe's run.sh calls it with
the recipe's settings; what you give run.sh goes on to it. Hyphens and underscores are the same.

  ./run.sh                                     # all stages; what is done already isn't done again
  ./run.sh --stage 11 --stop_stage 11          # training only
  ./run.sh --lego_config conf/tuning/x.yaml    # another experiment beside the first
  ./run.sh --stage 12 --inference_args "--beam_size 10"
  ./run.sh --skip_train true --pretrained_encoder exp/A --pretrained_decoder exp/B
                                               # decode with A's encoder and B's decoder, untouched
  ./run.sh --pretrained_encoder exp/A --pretrained_decoder modules/B_decoder --freeze decoder
                                               # train from there; the decoder stays as it is

Stages: 1 data, 2 speed perturbation (of speech), 3 format, 4 filter, 5 token lists, 6-8 language
model (with --use_lm true: lengths, training, perplexity), 10 statistics, 11 training, 12 decoding,
13 scoring, 14 packing into modules, 15 publishing them (with --hub_name).

General
  --stage N --stop_stage N   first and last stage (1, 15)
  --skip_train true|false    skip stages 6 to 8, 10 and 11 (false)
  --ngpu N --num_nodes N     GPUs a node, nodes of training (0, 1); 0 GPUs trains on the CPU
  --num_threads N            threads of a training process on a CPU (2)
  --launcher espnet|torchrun    who starts the processes of training (espnet: espnet2.bin.launch)
  --num_procs N              torchrun on a CPU: processes that share each batch (1)
  --torchrun_args "..."      e.g. "--rdzv_endpoint localhost:29501"
  --nj N --inference_nj N    jobs side by side: in stages 1 to 3 of speech, and 10; in stage 12 (2, 2)
  --python CMD               the interpreter (python3)
  --expdir D --dumpdir D     experiments, prepared data (exp, dump)
Data
  --src_modality text|speech what the encoder takes (text): speech is read from data/<set>/wav.scp
  --local_data_opts "..."    passed to local/data.sh
  --train_set S --valid_set S --test_sets "S ..."    folders under data/
  --src_lang L --tgt_lang L --src_case C --tgt_case C    of text.<case>.<lang> (case: tc)
  --tgt_punctuation true|false    whether the target's text has punctuation, for the modules' contract (true)
  --min_text_length N --max_text_length N    training and validation pairs outside are left out of
                             training, in characters (1, 1000), and never of --test_sets
Speech
  --fs R                     sample rate, hertz or 16k; other recordings are resampled (16k)
  --speed_perturb_factors "0.9 1.0 1.1"    copies of the training set, slower and faster (none)
  --min_wav_duration S --max_wav_duration S    training and validation recordings outside are left
                             out of training; stage 12 cuts longer ones at their pauses (0.1, 30 s)
  --audio_format flac|wav|opus    of recordings that are written anew (flac); what is one file an
                             utterance, one channel, at this rate already is only referred to
  --allow_pipes true|false   run the commands that wav.scp holds (false)
  --skip_bad N               leave out up to N unusable recordings of a set (0)
Token lists
  --token_type bpe|char|word (bpe)      --bpemode unigram|bpe (unigram)
  --nbpe N                   tokens of both lists (2000); --src_nbpe N, --tgt_nbpe N for one
  --character_coverage X     share of characters that get a token (1.0)
  --joint_tokens true|false  one list for both languages (false)
  --token_tag T              ends the folder names of the lists that are made
  --token_listdir D --src_token_listdir D    use this finished list for the target, the source;
                             decoders fit only encoders that have the same target list
  --interface_listdir D --interface_lang L    of an encoder before a bridge: the list that it writes, called text_bpe,
                             and the language (--tgt_lang); of text also --src_lang, then the bridge translates
Language model (ESPnet's, of the target's tokens)
  --use_lm true|false        train one, stages 6 to 8, and decode with it (false)
  --lm_config F              YAML (conf/train_lm.yaml)   --lm_args "..."   more of lm_train's arguments
  --lm_tag T --lm_exp D --lm_stats_dir D    name or folder of the experiment, the text's lengths
  --lm_train_text F          Kaldi text that it learns, each id once (the training set's target)
  --inference_lm F           checkpoint in its folder (valid.loss.ave.pth)
  --pretrained_lm EXP        decode with this one, of the same token list; exp or exp:checkpoint
Training
  --lego_config F            YAML (conf/train.yaml)      --lego_args "..."   more arguments
  --lego_tag T --lego_exp D --lego_stats_dir D    name or folder of the experiment, its statistics
  --pretrained_encoder M --pretrained_bridge M --pretrained_decoder M    M: a module, hf:owner/name,
                             an exp folder, or exp:checkpoint. Training starts from them; what they are is theirs,
                             how they are trained (dropout ...) is --lego_config's. A module is a
                             --token_listdir, too. With --skip_train true, no training at all:
                             stages 12 and 13 use their composition
  --freeze "PART ..."        encoder, bridge, decoder: those stay as they are, bit for bit
Decoding and scoring
  --inference_config F --inference_args "..." --inference_tag T
  --ensemble "EXP ..."       these systems' decoders score each token, too: beside a borrowed decoder
                             the encoder's own, or other seeds' (weights: --inference_args "--ensemble_weights 2 1";
                             a language model's: "--lm_weight 0.3")
  --inference_model F        checkpoint in the experiment's folder (the average of the best)
  --compare_with "[NAME=]D ..."    decoding folders of other systems, exp/x/decode, for paired bootstrap
  --score_args "..."         passed to legonn.bin.score. Speech is scored by words and characters that are wrong
                             where --src_lang is --tgt_lang, all else by BLEU, chrF and TER
Modules
  --pack_args "..."          passed to legonn.bin.pack; modules go to the experiment's modules/
  --hub_name hf:OWNER/NAME   on the Hugging Face Hub: they become hf:OWNER/NAME-encoder, -decoder

Launchers: CMD_BACKEND=local|slurm, see cmd.sh.
EOF
}

parse_options "stage stop_stage skip_train ngpu num_nodes num_threads launcher
    num_procs torchrun_args nj inference_nj python expdir
    dumpdir src_modality local_data_opts train_set valid_set test_sets src_lang tgt_lang src_case tgt_case
    tgt_punctuation min_text_length max_text_length fs speed_perturb_factors audio_format min_wav_duration
    max_wav_duration allow_pipes skip_bad token_type nbpe src_nbpe tgt_nbpe bpemode character_coverage
    joint_tokens token_tag token_listdir src_token_listdir interface_listdir interface_lang use_lm lm_config lm_args lm_tag
    lm_exp lm_stats_dir lm_train_text inference_lm pretrained_lm lego_config lego_args lego_tag lego_exp
    lego_stats_dir inference_config inference_args inference_tag inference_model pretrained_encoder
    pretrained_bridge pretrained_decoder ensemble freeze compare_with score_args pack_args
    hub_name" "$@"

for name in train_set valid_set test_sets src_lang tgt_lang; do
    [ -n "${!name}" ] || die "--${name} is not set: a recipe's run.sh gives it (see --help)"
done
for name in stage stop_stage ngpu num_nodes num_threads num_procs nj inference_nj skip_bad; do
    [[ "${!name}" =~ ^[0-9]+$ ]] || die "--${name} ${!name}: give a whole number"
done

for name in jsonl times output; do # each job would write it, and each set
    [[ " ${inference_args} " != *" --${name}"[\ =]* ]] ||
        die "--inference_args: --${name} is legonn decode's own: call that for it; here each set's texts, tokens and" \
            "scores are in the experiment's folder, and of --nbest the others in its logdir/output.*"
done

case "${launcher}" in
    espnet) [ "${num_procs}" -le 1 ] || die "--num_procs ${num_procs}: add --launcher torchrun" ;;
    torchrun) ;;
    *) die "--launcher ${launcher}: give espnet or torchrun" ;;
esac
[ "${launcher}" != torchrun ] || [ "${num_nodes}" -le 1 ] ||
    die "--num_nodes ${num_nodes}: several nodes are for --launcher espnet, with Slurm"
[ "${inference_nj}" -gt 0 ] && [ "${nj}" -gt 0 ] || die "--nj and --inference_nj: give at least 1"

export python nj # for local/data.sh
if [ -f ./path.sh ]; then . ./path.sh; else . "${template}/path.sh"; fi
if [ -f ./cmd.sh ]; then . ./cmd.sh; else . "${template}/cmd.sh"; fi

case "${src_modality}" in
    text)
        src_file=text.${src_case}.${src_lang}
        src_entry=src_text
        src_kind=text
        ;;
    speech)
        src_file=wav.scp
        src_entry=speech
        src_kind=sound
        ;;
    *) die "--src_modality ${src_modality}: give text or speech" ;;
esac
hears() { # whether the encoder takes speech
    [ "${src_modality}" = speech ]
}
if [[ ${fs} =~ ^([0-9.]+)[kK]$ ]]; then fs=$(awk -v k="${BASH_REMATCH[1]}" 'BEGIN { printf "%d", k * 1000 }'); fi
tgt_file=text.${tgt_case}.${tgt_lang}
raw=${dumpdir}/raw
rate= # in names, where it isn't the usual one
[ "${fs}" = 16000 ] || rate=_${fs}
! hears || raw=${dumpdir}/raw_speech${rate} # of the same sets a text system keeps its own
: "${src_nbpe:=${nbpe}}" "${tgt_nbpe:=${nbpe}}"

# What the options leave open follows from the others.
each_once() { # each_once SET ...: in this order, one a line
    printf '%s\n' "$@" | awk 'NF && !seen[$0]++'
}
# shellcheck disable=SC2086
data_sets=$(each_once ${train_set} ${valid_set} ${test_sets})
if [ -n "${speed_perturb_factors}" ]; then
    hears || die "--speed_perturb_factors is for --src_modality speech"
    one_speed=${train_set}
    train_set=${train_set}_sp${rate}
fi
# shellcheck disable=SC2086
all_sets=$(each_once ${train_set} ${valid_set} ${test_sets})
if "${joint_tokens}"; then
    src_nbpe=${nbpe}
    tgt_nbpe=${nbpe}
    own_src_list=$(list_folder "${src_lang}_${tgt_lang}" "${nbpe}")
    own_tgt_list=${own_src_list}
else
    own_src_list=$(list_folder "${src_lang}" "${src_nbpe}")
    own_tgt_list=$(list_folder "${tgt_lang}" "${tgt_nbpe}")
fi
local_list() { # local_list D: D; of a module that is one file, or on the Hub, the folder with its list
    if [[ "$1" == hf:* ]] || [ -f "$1" ]; then "${python}" "${utils}/module_folder.py" "$1"; else echo "$1"; fi
}
src_list=$(local_list "${src_token_listdir:-${own_src_list}}")
tgt_list=$(local_list "${token_listdir:-${own_tgt_list}}")
interface_listdir=$(local_list "${interface_listdir}")

tag_of() { # tag_of ARGS: arguments as part of a file name
    [ -z "$1" ] || printf '_%s' "$(sed -e 's/--//g' -e 's/[^A-Za-z0-9.,_-]/_/g' <<<"$1")"
}

: "${lm_tag:=$(basename "${lm_config}" .yaml)_${train_set}_$(basename "${tgt_list}")$(tag_of "${lm_args}")}"
: "${lm_exp:=${expdir}/lm_${lm_tag}}" "${lm_stats_dir:=${expdir}/lm_stats_${train_set}_$(basename "${tgt_list}")}"
lm_dev_text=${raw}/${valid_set}/${tgt_file}
if [ -n "${one_speed:-}" ]; then # each text once
    : "${lm_train_text:=data/${one_speed}/${tgt_file}}"
else
    : "${lm_train_text:=${raw}/${train_set}/${tgt_file}}"
fi
lm=${pretrained_lm}
if [[ "${lm}" == hf:* ]] || is_module "${lm}"; then
    die "--pretrained_lm ${lm}: give the folder of a language model that stage 7 or ESPnet trained"
fi
if [ -z "${lm}" ] && "${use_lm}"; then lm=${lm_exp}; fi
[[ -z "${lm}" || "${lm}" == *:* ]] || lm+=:${inference_lm}

if hears; then read_list=speech; else read_list=$(basename "${src_list}"); fi
[ -z "${interface_listdir}" ] || read_list+=_$(basename "${interface_listdir}")
: "${lego_stats_dir:=${expdir}/lego_stats_${train_set}_${read_list}_$(basename "${tgt_list}")}"
list_files=("${tgt_list}/tokens.txt" "${tgt_list}/bpe.model")
src_prefix=
[ ! -f "${src_list}/src_tokens.txt" ] || src_prefix=src_ # of an encoder's module, its source's
src_list_files=("${src_list}/${src_prefix}tokens.txt" "${src_list}/${src_prefix}bpe.model")
hears || list_files=("${src_list_files[@]}" "${list_files[@]}")
training_texts=("${raw}/${train_set}/${src_file}" "${raw}/${train_set}/${tgt_file}"
    "${raw}/${valid_set}/${src_file}" "${raw}/${valid_set}/${tgt_file}")

# Every list has a sentencepiece model, lists of characters and words too, so all are bpe to train.
task_options=(
    --token_list "${tgt_list}/tokens.txt" --token_type bpe --bpemodel "${tgt_list}/bpe.model"
    --case "${tgt_case}" --punctuation "${tgt_punctuation}"
    --train_data_path_and_name_and_type "${training_texts[0]},${src_entry},${src_kind}"
    --train_data_path_and_name_and_type "${training_texts[1]},text,text"
    --valid_data_path_and_name_and_type "${training_texts[2]},${src_entry},${src_kind}"
    --valid_data_path_and_name_and_type "${training_texts[3]},text,text"
)
hears || task_options+=(
    --src_token_list "${src_list_files[0]}" --src_token_type bpe --src_bpemodel "${src_list_files[1]}"
)

interface_files=()
[ -n "${interface_listdir}" ] || [ -z "${interface_lang}" ] || die "--interface_lang is that of --interface_listdir: give both"
if [ -n "${interface_listdir}" ]; then
    said=1 # which of the texts, and of validation the one two further on
    case "${interface_lang:=${tgt_lang}}" in
        "${tgt_lang}") ;;
        "${src_lang}")
            ! hears || die "--interface_lang ${interface_lang}: speech of another language than --tgt_lang has no text here;" \
                "train the bridge on text, and compose (--skip_train true)"
            said=0
            ;;
        *) die "--interface_lang ${interface_lang}: give ${src_lang} or ${tgt_lang}, a language of the data" ;;
    esac
    interface_files=("${interface_listdir}/tokens.txt" "${interface_listdir}/bpe.model")
    task_options+=(
        --interface_token_lists "text_bpe=${interface_files[0]}"
        --interface_bpemodels "text_bpe=${interface_files[1]}"
        --chain_conf encoder_target=text_bpe
        --train_data_path_and_name_and_type "${training_texts[said]},text_bpe,text"
        --valid_data_path_and_name_and_type "${training_texts[said + 2]},text_bpe,text"
    )
fi

parts=()
system_options=()
origin=
for part in encoder bridge decoder; do
    pretrained=pretrained_${part}
    [ -n "${!pretrained}" ] || continue
    parts+=("${!pretrained}")
    origin+=_$(part_name "${!pretrained}")
    task_options+=("--${pretrained}" "${!pretrained}")
    system_options+=("--${part}" "$(with_model "${!pretrained}")")
done
# shellcheck disable=SC2206
[ -z "${freeze}" ] || task_options+=(--freeze ${freeze})

from=${src_lang}
! hears || from+=_speech${speed_perturb_factors:+_sp}${rate}
: "${lego_tag:=$(basename "${lego_config}" .yaml)_${from}_${tgt_lang}$(tag_of "${lego_args}")}"
composed=false
if [ -n "${origin}" ] && "${skip_train}"; then
    [ -n "${pretrained_encoder}" ] && [ -n "${pretrained_decoder}" ] ||
        die "a composition needs --pretrained_encoder and --pretrained_decoder"
    composed=true
    decode_exp=${expdir}/compose${origin}
    decoded=("${parts[@]}")
else
    : "${lego_exp:=${expdir}/lego_${lego_tag}${origin:+_from${origin}}$(tag_of "${freeze:+freeze_${freeze}}")}"
    decode_exp=${lego_exp}
    decoded=("${lego_exp}")
    system_options=(--system "$(with_model "${lego_exp}")")
fi
if [ -n "${ensemble}" ]; then # scores of its own, which are no experiment's
    decode_exp=${expdir}/ensemble_$(basename "${decode_exp}")
    for other in ${ensemble}; do
        if [[ "${other}" == hf:* ]] || is_module "${other}"; then
            die "--ensemble ${other}: give an experiment; legonn compose makes one of modules"
        fi
        decoded+=("${other}")
        system_options+=(--ensemble "$(with_model "${other}")")
        decode_exp+=_with_$(part_name "${other}")
    done
fi
if [ -n "${lm}" ]; then # scores of its own, too
    [ -n "${ensemble}" ] || decode_exp=${expdir}/ensemble_$(basename "${decode_exp}")
    decoded+=("${lm}")
    system_options+=(--lm "${lm}")
    decode_exp+=_with_$(part_name "${lm%:valid.loss.ave.pth}")
fi
: "${inference_tag:=$(basename "${inference_config:-decode}" .yaml)$(tag_of "${inference_args}")${inference_model:+_$(basename "${inference_model}" .pth)}}"

wanted() { # wanted N: whether stage N is between --stage and --stop_stage
    [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ]
}

# ---- The stages, in order ------------------------------------------------------------------------
# A function, so that bash has read it all: who edits this file while it runs does no harm.
run_stages() {
    if { wanted 10 || wanted 11; } && ! "${skip_train}"; then need_rate; fi
    # Before hours of training.
    for part in ${freeze}; do
        case "${part}" in
            encoder | bridge | decoder) ;;
            *) die "--freeze ${part}: give encoder, bridge or decoder" ;;
        esac
    done
    if { wanted 11 && ! "${skip_train}"; } || { wanted 12 && "${composed}"; }; then
        for part in ${parts[@]+"${parts[@]}"}; do checkpoint_sums "${part}" >/dev/null; done
    fi
    if wanted 13; then
        for part in ${compare_with}; do
            need "${part#*=}" "--compare_with names [NAME=]FOLDER, decoded by stage 12"
        done
    fi
    if wanted 12; then
        for part in ${ensemble}; do
            checkpoint_sums "$(with_model "${part}")" >/dev/null
        done
        if [ -n "${pretrained_lm}" ] || { [ -n "${lm}" ] && { ! wanted 7 || "${skip_train}"; }; }; then
            need "${lm%%:*}/config.yaml" "it is no language model; run stages 6 and 7, or mend the name"
            need "${lm%%:*}/${lm#*:}" "no such checkpoint in ${lm%%:*}: name one with --inference_lm"
        fi
    fi
    if wanted 1; then
        log "stage 1: data"
        mkdir -p data
        locked data stage_data
        check_data
    fi
    if wanted 2; then
        if ! hears; then
            log "stage 2: speed perturbation is skipped: this recipe reads text, not speech"
        elif [ -z "${speed_perturb_factors}" ]; then
            log "stage 2: speed perturbation is skipped: --speed_perturb_factors gives none"
        else
            log "stage 2: speed perturbation, ${speed_perturb_factors}, data/${train_set}"
            locked data stage_speeds
        fi
    fi
    if wanted 3; then
        log "stage 3: format, data -> ${raw}"
        mkdir -p "${raw}"
        locked "${raw}" stage_format
    fi
    if wanted 4; then
        log "stage 4: filter, ${min_text_length} to ${max_text_length} characters$(
            ! hears || echo ", ${min_wav_duration} to ${max_wav_duration} s"
        )"
        mkdir -p "${raw}"
        locked "${raw}" stage_filter
    fi
    if wanted 5; then
        log "stage 5: token lists, $(hears || echo "${src_list} and ")${tgt_list}"
        mkdir -p data
        locked data stage_tokens
    fi
    if ! wanted 6 && ! wanted 7 && ! wanted 8; then
        :
    elif [ -n "${pretrained_lm}" ]; then
        log "stages 6-8: no language model is trained: ${lm} is there"
    elif ! "${use_lm}"; then
        log "stages 6-8: no language model is trained: --use_lm true asks for one"
    elif "${skip_train}"; then
        log "stages 6-8: no language model is trained: --skip_train true"
    else
        if wanted 6; then
            log "stage 6: lengths of ${lm_train_text}, ${lm_stats_dir}"
            mkdir -p "${lm_stats_dir}"
            locked "${lm_stats_dir}" stage_lm_stats
        fi
        if wanted 7; then
            log "stage 7: training of the language model, ${lm_exp}"
            mkdir -p "${lm_exp}"
            locked "${lm_exp}" stage_lm_train
        fi
        if wanted 8; then
            log "stage 8: perplexity"
            mkdir -p "${lm_exp}"
            locked "${lm_exp}" stage_lm_perplexity
        fi
    fi
    if wanted 10 && ! "${skip_train}"; then
        log "stage 10: statistics, ${lego_stats_dir}"
        mkdir -p "${lego_stats_dir}"
        locked "${lego_stats_dir}" stage_stats
    fi
    if wanted 11 && ! "${skip_train}"; then
        log "stage 11: training, ${lego_exp}"
        mkdir -p "${lego_exp}"
        locked "${lego_exp}" stage_train
    fi
    if wanted 12; then
        log "stage 12: decoding, ${decode_exp}/${inference_tag}"
        for part in "${decoded[@]}"; do # before anything is made under a mistyped name
            checkpoint_sums "$(with_model "${part}")" >/dev/null
        done
        mkdir -p "${decode_exp}/${inference_tag}"
        locked "${decode_exp}/${inference_tag}" stage_decode
    fi
    if wanted 13; then
        log "stage 13: scoring"
        stage_score
    fi
    if wanted 14; then
        log "stage 14: packing"
        stage_pack
    fi
    if wanted 15; then
        stage_publish
    fi
    log "done"
}

run_stages; exit 0
