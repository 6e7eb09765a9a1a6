#!/bin/sh
# The rows of test_upgrade are what the second implementation prints: they cannot drift apart. Prints TAP.
set -u
folder=$(dirname "$0")
rows=$folder/unit/crypto/upgrade_vectors.h
echo "1..1"
if said=$(python3 "$folder/upgrade_vectors.py" 2>&1) && said=$(echo "$said" | diff -u "$rows" - 2>&1); then
        echo "ok - $(basename "$rows") is what upgrade_vectors.py prints"
else
        echo "not ok - $(basename "$rows") is what upgrade_vectors.py prints"
        echo "$said" | sed 's/^/# /'
        exit 1
fi
