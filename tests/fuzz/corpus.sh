#!/bin/sh
# Replays what the fuzzers have kept: tests/fuzz/corpus.sh, with BUILD naming the folder of the programs. Prints TAP.
set -u
folder=$(dirname "$0")
targets=$(cd "$folder" && ls fuzz_*.c | sed 's/^fuzz_\(.*\)\.c$/\1/')
echo "1..$(echo "$targets" | wc -l)"
failed=0
for target in $targets; do
        if said=$("${BUILD:-build}/tests/fuzz/replay_$target" "$folder/corpus/$target" 2>&1); then
                echo "ok - fuzz target $target: $said"
        else
                echo "not ok - fuzz target $target"
                echo "$said" | sed 's/^/# /'
                failed=1
        fi
done
exit $failed
