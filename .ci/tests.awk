# Reads `go test -v` and shows, package by package as it ends: of a good package
# its own "ok" line and every test it skipped with the reason; of a failed one
# everything it printed. Then it counts, so that a reader sees what ran, and
# writes the count to the file named by `counts`.
#
# It never hides a failure: the exit status of go test is kept by pipefail, and
# what follows the last package line is shown as it is.

function show(from,    i) { for (i = from; i <= n; i++) print block[i] }

# The reason stands in the line before.
function skips(    i) {
	for (i = 1; i <= n; i++)
		if (block[i] ~ /^ *--- SKIP/) {
			if (block[i - 1] ~ /^ +[^ ]+\.go:[0-9]+: /) print block[i - 1]
			print block[i]
		}
}

{ block[++n] = $0 }
/^--- PASS/ { passed++ }
/^--- FAIL/ { failed++ }
/^ *--- SKIP/ { skipped++ }

/^ok  \t/ { skips(); print; packages++; n = 0; fflush(); next }
/^\?   \t/ || /^\t.*\tcoverage: / { print; bare++; n = 0; fflush(); next }
/^FAIL\t/ { show(1); broken++; n = 0; fflush(); next }

END {
	show(1)
	line = sprintf("%d tests passed, %d failed, %d skipped, in %d packages (%d more failed, %d have no tests)",
		passed, failed, skipped, packages, broken, bare)
	print line
	if (counts != "") print line > counts
	if (packages + broken == 0) { print "no package was tested"; exit 1 }
}
