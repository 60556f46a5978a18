#!/usr/bin/env bash
# Prints what came of the conformance suite, server by case, and fails if a cell is not what it should be.
#
#     tests/servers/table.sh DIRECTORY
#
# The directory holds a file for each server: case, result, reason; tab-separated.
set -euo pipefail

readonly SERVERS="embedded kinesis-local kinesalite"

cd "$1"
for server in $SERVERS; do
    [[ -e $server.tsv ]] && sed "s/^/$server\t/" "$server.tsv"
done | awk -F'\t' -v servers="$SERVERS" '
    !($2 in row) { row[$2] = ++rows; name[rows] = $2; if (length($2) > width) width = length($2) }
    { cell[$2, $1] = $3 }
    $4 != "" {
        key = $3 FS $2 FS $4
        if (!(key in where)) { order[++notes] = key; note[notes] = $2 ": " $4 }
        where[key] = where[key] (key in where && where[key] != "" ? ", " : "") $1
    }
    END {
        columns = split(servers, server, " ")
        if (notes) print "Known differences:"
        for (i = 1; i <= notes; i++) printf "  %s (%s)\n", note[i], where[order[i]]
        printf "\n%-*s", width, "case"
        for (c = 1; c <= columns; c++) printf c < columns ? " | %-16s" : " | %s", server[c]
        printf "\n"
        for (r = 1; r <= rows; r++) {
            printf "%-*s", width, name[r]
            for (c = 1; c <= columns; c++) {
                result = cell[name[r], server[c]]
                if (result != "passed" && result != "known difference") bad++
                printf c < columns ? " | %-16s" : " | %s", result == "" ? "(nothing)" : result
            }
            printf "\n"
        }
        if (bad || !rows) { printf "%d cells are not as they should be\n", bad; exit 1 }
    }'
