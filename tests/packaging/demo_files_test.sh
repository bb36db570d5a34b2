#!/usr/bin/env bash
# demo_files_test.sh PROGRAM: the manual page and bash's completion name the options that the program has, no others.
set -euo pipefail
program=$1
here=$(dirname "${BASH_SOURCE[0]}")/../../packaging
failed=0
fail() {
  printf 'FAILED: %s\n' "$*"
  failed=1
}
same() { # same WHAT EXPECTED GOT: of words
  local difference
  difference=$(diff <(tr ' ' '\n' <<<"$2" | sort -u) <(tr ' ' '\n' <<<"$3" | sort -u)) ||
    fail "$1 (<: the program has it, >: only this has it):"$'\n'"$difference"
}
words() { tr '\n' ' ' | sed 's/ *$//'; }

complete_at_end() { # complete_at_end WORD...: what bash offers for the last word
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  "$function"
  printf '%s\n' "${COMPREPLY[@]}"
}

help=$("$program" echo --help)
options=$(grep -oE '^ +(-h, *)?--[a-z-]+' <<<"$help" | tr ',' '\n' | tr -d ' ' | words)
[[ $(wc -w <<<"$options") -gt 20 ]] || fail "the program shows only these options: $options"

manual=$(sed 's/\\-/-/g' "$here/netserve.1")
heads=$(grep -A 1 '^\.TP' <<<"$manual" | grep -oE '^\.B[A-Z]* .*' | grep -oE '(^| )--?[a-z][a-z-]*' | tr -d ' ' | words)
same 'the manual' "$options --version" "$heads"

# As bash finds it.
source "$here/netserve.bash"
function=$(complete -p netserve | sed -E 's/.*-F ([^ ]+) .*/\1/')
same 'completion of "netserve echo -"' "$options" "$(complete_at_end netserve echo - | words)"
same 'completion after an argument' "$options" "$(complete_at_end netserve echo --listen tcp : //localhost:1 - | words)"
same 'completion of "netserve"' 'echo -h --help --version' "$(complete_at_end netserve '' | words)"
same 'completion of a beginning' '--idle-timeout' "$(complete_at_end netserve echo --id | words)"

# Options that take one of several words: what they are is in the help, as "--policy pool|thread ...".
choices=$(grep -oE -- '--[a-z-]+ [a-z-]+(\|[a-z-]+)+' <<<"$help")
[[ $(wc -l <<<"$choices") -ge 4 ]] || fail "the program shows only these choices: $choices"
while read -r option words; do
  words=${words//|/ }
  same "completion of $option" "$words" "$(complete_at_end netserve echo "$option" '' | words)"
  same "completion of $option=" "$words" "$(complete_at_end netserve echo "$option" = | words)"
  same "completion of $option=${words:0:1}" "$(compgen -W "$words" -- "${words:0:1}" | words)" \
    "$(complete_at_end netserve echo "$option" = "${words:0:1}" | words)"
  grep -qF -- "$option \" ${words// /|}" <<<"$manual" || fail "the manual has other choices of $option"
done <<<"$choices"

# What the options begin with, if they are not given, is the same in the manual.
while read -r option default; do
  grep -A 4 -F -- "$option " <<<"$manual" | grep -qE "by default $default\b" ||
    fail "the manual has another default of $option than $default"
done < <(grep -oE -- '--[a-z-]+ SECONDS(=| \[)[0-9]+' <<<"$help" | sed -E 's/ SECONDS(=| \[)/ /')

exit "$failed"
