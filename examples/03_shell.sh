#!/bin/sh
# A trial in the shell: Newton's search for a root, one step an epoch, with `start` and `damping` as parameters.
#
# Started by examples/03_shell.py, which shows how a study runs it. All that it needs are the variables
# MODELWRIGHT_...; see docs/how-to/scripts.md.
set -eu

# Say a value, wait for the answer, and fail when the trial is to stop.
said=0
report() {
    printf '{"report": %s, "step": %s}\n' "$1" "$2" >> "$MODELWRIGHT_REQUESTS"
    said=$((said + 1))
    until [ "$(wc -l < "$MODELWRIGHT_ANSWERS")" -ge "$said" ]; do sleep 0.02; done
    [ ! -e "$MODELWRIGHT_STOP" ]
}

epoch=0
x=$MODELWRIGHT_PARAM_START
if [ -n "${MODELWRIGHT_RESUME_FROM:-}" ]; then
    read -r epoch x < "$MODELWRIGHT_RESUME_FROM/state"
fi

while [ "$epoch" -lt 5 ]; do
    epoch=$((epoch + 1))
    x=$(awk -v x="$x" -v d="$1" 'BEGIN { print x - d * (x * x - 2) / (2 * x) }')
    error=$(awk -v x="$x" 'BEGIN { e = x * x - 2; print (e < 0) ? -e : e }')
    # Written under another name first, so that the checkpoint is always whole.
    echo "$epoch $x" > "$MODELWRIGHT_CHECKPOINT_DIR/part"
    mv "$MODELWRIGHT_CHECKPOINT_DIR/part" "$MODELWRIGHT_CHECKPOINT_DIR/state"
    report "$error" "$epoch" || exit 0 # stopped: the last report stands
done
echo "$error" > "$MODELWRIGHT_RESULT"
