# Completion of netserve(1) for bash. It uses the package bash-completion only to be loaded.

_netserve() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} each subcommand=
  COMPREPLY=()
  # If COMP_WORDBREAKS has a colon, bash splits tcp://HOST into several words and completes only the last one.
  for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $each == echo ]] && subcommand=echo
  done
  if [[ -z $subcommand ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'echo -h --help --version' -- "$word")
    return
  fi
  # Bash takes --policy=fork as three words.
  if [[ $word == '=' ]]; then
    word=
  elif [[ $before == '=' ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $before in
    --policy) each='pool thread fork inline' ;;
    --handler) each='request conversation' ;;
    --framing) each='none line' ;;
    --overload) each='wait reject evict-idle' ;;
    --listen)
      compopt -o nospace 2>/dev/null
      each='tcp:// udp:// unix: unixgram: fd://'
      ;;
    --monitor)
      compopt -o nospace 2>/dev/null
      each='tcp:// unix:'
      ;;
    --workers | --keep-threads | --max-connections | --client-* | --proxy-protocol | --*-timeout | --lame-duck | --stats)
      return # a number or networks
      ;;
    *)
      each='-h --help --listen --monitor --policy --handler --framing --workers --keep-threads --max-connections
        --overload --client-connections --client-rate --client-burst --client-exempt --proxy-protocol
        --request-timeout --idle-timeout --send-timeout --drain-timeout --lame-duck --stats'
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$each" -- "$word")
}
complete -F _netserve netserve
