# shellcheck shell=bash
# Stages 1 to 5: data folders to token lists. Sourced by lego.sh, whose options these functions read.
# shellcheck disable=SC2154 # variables are lego.sh's

list_folder() { # list_folder LANG SIZE: where the token list of a language is made
    case "${token_type}" in
        bpe) echo "data/$1_token_list/bpe_${bpemode}$2${token_tag:+_${token_tag}}" ;;
        char | word) echo "data/$1_token_list/${token_type}${token_tag:+_${token_tag}}" ;;
        *) die "--token_type ${token_type}: give bpe, char or word" ;;
    esac
}
# ---- Stage 1: data -------------------------------------------------------------------------------
make_data() {
    touch data/.begun
    # shellcheck disable=SC2086
    local/data.sh ${local_data_opts}
}

need_sets() { # what a recipe without local/data.sh has made otherwise
    local set file
    for set in ${data_sets}; do
        for file in "${src_file}" "${tgt_file}"; do
            [ -f "data/${set}/${file}" ] || [ "${file}" = wav.scp ] || [ ! -f "data/${set}/text" ] ||
                die "data/${set} has Kaldi's text, which has no language: link it by what it is, ln -s text" \
                    "data/${set}/text.tc.en for English with capitals (--tgt_case tc), text.lc.en in small letters" \
                    "(--tgt_case lc); and --tgt_punctuation true or false"
            need "data/${set}/${file}" "this recipe has no local/data.sh, so make the folder yourself"
        done
    done
}

refuse_foreign_sets() { # local/data.sh replaces what is there, and may do so only with what it made itself
    local set
    [ ! -f data/.begun ] && ! compgen -G "data/.done.*" >/dev/null || return 0
    for set in ${data_sets}; do
        [ ! -e "data/${set}" ] ||
            die "data/${set} is there, and local/data.sh, which would write over it, didn't make it:" \
                "remove that script to use your own folders, or move them away"
    done
}

stage_data() {
    local set stamp=data/.done.${train_set} key
    if [ ! -f local/data.sh ]; then
        need_sets
        return
    fi
    refuse_foreign_sets
    for set in ${data_sets}; do
        [ -f "data/${set}/${src_file}" ] && [ -f "data/${set}/${tgt_file}" ] || rm -f "${stamp}"
    done
    key="local_data_opts=${local_data_opts}"$'\n'$(sums local/data.sh)
    once "${stamp}" "${key}" make_data
}

check_data() {
    local set folders=() key=
    for set in ${data_sets}; do
        folders+=("data/${set}")
        ! hears || key+=$(sound_key "data/${set}")$'\n'
        [ ! -f "data/${set}/utt2group" ] || key+=$(sums "data/${set}/utt2group")$'\n'
    done
    if ! hears; then
        "${python}" -m legonn.bin.validate "${folders[@]}" --files "${src_file}" "${tgt_file}"
        return
    fi
    # Every recording is read, so only once.
    # shellcheck disable=SC2046
    once "data/.checked.${one_speed:-${train_set}}" "${key}" \
        "${python}" -m legonn.bin.validate "${folders[@]}" --files "${tgt_file}" --nj "${nj}" \
        --fs "${fs}" --skip_bad "${skip_bad}" $(pipes)
}

pipes() { # whether commands of a wav.scp may run
    ! "${allow_pipes}" || echo --allow_pipes
}

# ---- Stage 2: speed perturbation -----------------------------------------------------------------
prepare() { # prepare FROM TO OPTION ...: recordings, as training reads them
    # shellcheck disable=SC2046
    "${python}" -m legonn.audio.prepare --input "$1" --output "$2" --files "${tgt_file}" --fs "${fs}" \
        --audio_format "${audio_format}" --nj "${nj}" --skip_bad "${skip_bad}" $(pipes) "${@:3}"
}

sound_options() { # the first line of what stage 3 stamps of speech
    echo "fs=${fs} format=${audio_format}"
}

sound_key() { # sound_key FOLDER: what a preparation of its recordings depends on
    local file
    sound_options
    echo "skip_bad=${skip_bad}"
    for file in wav.scp segments utt2spk "${tgt_file}"; do
        [ ! -f "$1/${file}" ] || sums "$1/${file}"
    done
    [ ! -f "$1/wav.scp" ] || "${python}" -m legonn.audio.states "$1" # files may change while their names stay
}

prepared_sums() { # prepared_sums SET ...: of speech, what stages 2 to 4 did; wav.scp has only paths
    local set
    hears || return 0
    for set in "$@"; do prepared_in "${raw}/${set}"; done
}

prepared_in() { # prepared_in FOLDER
    sums "$1/utt2sha256"
}

speeds_key() { # the first line of what stage 2 stamps
    echo "speeds=${speed_perturb_factors} format=${audio_format}"
}

made_so() { # made_so STAMP LINE: whether a stamp, where there is one, begins with this line
    [ ! -f "$1" ] || [ "$(head -n 1 "$1")" = "$2" ]
}

other_recordings() { # other_recordings FOLDER LINE: those that a training reads must not be replaced
    die "$1 was made with $(head -n 1 "$1/.done"), not $2, and trainings may read it: go on with those, or remove it" \
        "when none does"
}

stage_speeds() {
    local from=data/${one_speed} to=data/${train_set}
    need "${from}/wav.scp" "run stage 1, or make the folder yourself"
    made_so "${to}/.done" "$(speeds_key)" || other_recordings "${to}" "$(speeds_key)"
    # shellcheck disable=SC2086
    once "${to}/.done" "$(speeds_key)"$'\n'"$(sound_key "${from}")" \
        prepare "${from}" "${to}" --speeds ${speed_perturb_factors}
}

# ---- Stages 3 and 4: format, filter --------------------------------------------------------------
raw_folder() { # raw_folder SET: where stage 3 puts it, and whence it is decoded; training is filtered from raw/org
    case " ${train_set} ${valid_set} " in
        *" $1 "*) echo "${raw}/org/$1" ;;
        *) echo "${raw}/$1" ;;
    esac
}

copy_set() { # copy_set FROM TO
    rm -rf "${2:?}"
    install_file "$1/${src_file}" "$2/${src_file}"
    install_file "$1/${tgt_file}" "$2/${tgt_file}"
}

prepare_set() { # prepare_set FROM TO: what stage 4 left there for another choice of sets isn't this stage's
    [ -f "$2/prepared.txt" ] || rm -rf "${2:?}"
    prepare "$1" "$2"
}

stage_format() {
    local set folder
    for set in ${all_sets}; do
        need "data/${set}/${src_file}" "run stage 1, or make the folder yourself"
        need "data/${set}/${tgt_file}" "run stage 1, or make the folder yourself"
        folder=$(raw_folder "${set}")
        if hears; then
            made_so "${folder}/.done" "$(sound_options)" || other_recordings "${folder}" "$(sound_options)"
            once "${folder}/.done" "$(sound_key "data/${set}")" prepare_set "data/${set}" "${folder}"
        else
            once "${folder}/.done" "$(sums "data/${set}/${src_file}" "data/${set}/${tgt_file}")" \
                copy_set "data/${set}" "${folder}"
        fi
    done
}

filter_key() { # the first line of what stage 4 stamps
    local key="length=${min_text_length}-${max_text_length}"
    ! hears || key+=" seconds=${min_wav_duration}-${max_wav_duration}"
    echo "${key}"
}

need_options() { # need_options: whether stages 2 and 4 were run with the options that later stages are
    local set
    [ -z "${one_speed:-}" ] || made_so "data/${train_set}/.done" "$(speeds_key)" ||
        die "data/${train_set} was made with $(head -n 1 "data/${train_set}/.done"), not $(speeds_key):" \
            "go on with those, or remove it and run stages 2 to 4"
    for set in "${train_set}" "${valid_set}"; do
        made_so "${raw}/${set}/.done" "$(filter_key)" ||
            die "${raw}/${set} was made with $(head -n 1 "${raw}/${set}/.done"), not $(filter_key): run stage 4"
    done
}

filter_set() { # filter_set SET
    local what=("${src_file}" "${tgt_file}")
    ! hears || what=("${tgt_file}" --fs "${fs}" --min_seconds "${min_wav_duration}" --max_seconds "${max_wav_duration}")
    rm -rf "${raw:?}/$1"
    "${python}" -m legonn.data.filter --input "${raw}/org/$1" --output "${raw}/$1" \
        --min_length "${min_text_length}" --max_length "${max_text_length}" --files "${what[@]}"
}

stage_filter() {
    local set
    for set in "${train_set}" "${valid_set}"; do
        need "${raw}/org/${set}/.done" "run stage 3"
        once "${raw}/${set}/.done" "$(filter_key)"$'\n'"$(cat "${raw}/org/${set}/.done")" filter_set "${set}"
    done
}

# ---- Stage 5: token lists ------------------------------------------------------------------------
learn_tokens() { # learn_tokens FOLDER SIZE TEXT ...
    local folder=$1 size=$2 mode=${bpemode}
    shift 2
    if [ "${token_type}" != bpe ]; then
        mode=${token_type}
        size=0
    fi
    rm -rf "${folder}"
    "${python}" -m legonn.bin.tokenlist --text "$@" --output "${folder}" --nbpe "${size}" \
        --bpemode "${mode}" --character_coverage "${character_coverage}"
}

own_list() { # own_list FOLDER SIZE TEXT ...: learn a list, unless it is there and the same
    local folder=$1 size=$2 key
    shift 2
    # The texts by their hashes alone: parallel corpora share a side, and so its token list.
    key="size=${size} coverage=${character_coverage}"$'\n'$(sums "$@" | cut -d ' ' -f 1)
    if [ -f "${folder}/.done" ] && ! stamp_is "${folder}/.done" "${key}"; then
        stamp_difference "${folder}/.done" "${key}" >&2
        die "${folder} was made from other text or options (above), and experiments may use it:" \
            "use it as it is with --token_listdir (or --src_token_listdir) ${folder}," \
            "make another with --token_tag, or remove it to make it anew"
    fi
    once "${folder}/.done" "${key}" learn_tokens "${folder}" "${size}" "$@"
}

check_list() { # check_list FOLDER PREFIX FILE_NAME SET ...: warn of what a list lacks for these sets
    local folder=$1 prefix=$2 name=$3 set texts=()
    shift 3
    for set in "$@"; do
        [ ! -f "${raw}/${set}/${name}" ] || texts+=("${raw}/${set}/${name}")
    done
    "${python}" -m legonn.bin.tokenlist --output "${folder}" --prefix "${prefix}" --check_text "${texts[@]}"
}

need_interface_list() {
    local file
    for file in ${interface_files[@]+"${interface_files[@]}"}; do
        need "${file}" "--interface_listdir: it names a finished token list"
    done
}

stage_tokens() {
    local src_text=${raw}/${train_set}/${src_file} tgt_text=${raw}/${train_set}/${tgt_file}
    local both=("${src_text}" "${tgt_text}") remedy="it names a finished token list"
    need "${raw}/${train_set}/.done" "run stage 4"
    # Of speech each text once, whatever the speeds.
    ! hears || tgt_text=data/${one_speed:-${train_set}}/${tgt_file}
    if hears; then
        ! "${joint_tokens}" || die "--joint_tokens: speech has no tokens; drop it"
    elif [ -n "${src_token_listdir}" ]; then
        need "${src_list_files[0]}" "--src_token_listdir: ${remedy}"
    elif "${joint_tokens}"; then
        own_list "${own_src_list}" "${src_nbpe}" "${both[@]}"
    else
        own_list "${own_src_list}" "${src_nbpe}" "${src_text}"
    fi
    if [ -n "${token_listdir}" ]; then
        need "${tgt_list}/tokens.txt" "--token_listdir: ${remedy}"
    elif "${joint_tokens}"; then
        own_list "${own_tgt_list}" "${tgt_nbpe}" "${both[@]}"
    else
        own_list "${own_tgt_list}" "${tgt_nbpe}" "${tgt_text}"
    fi
    need_interface_list
    # shellcheck disable=SC2086
    hears || check_list "${src_list}" "${src_prefix}" "${src_file}" ${all_sets}
    # shellcheck disable=SC2086
    check_list "${tgt_list}" "" "${tgt_file}" ${all_sets}
    log "token lists: $(hears || echo "${src_list}, ")${tgt_list}"
}
