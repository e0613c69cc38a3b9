BEGIN { FS = ","; PROCINFO["sorted_in"] = "@ind_str_asc" }
FILENAME ~ /table/ { sum[length($2)] += $3; last = $0 }
FILENAME ~ /text/ { words += split($0, parts, " ") }
END {
    for (size in sum) printf "%s %d\n", size, sum[size]
    print words, toupper(last), substr("abcdef", 2, 3), index("haystack", "st")
    print gensub(/([0-9]+)\.([0-9]+)/, "\\2.\\1", "g", "12.34 56.78"), strftime("%Y-%m-%d", 1700000000, 1)
    for (i = 0; i < 200000; i++) x = (x * 1103515245 + 12345) % 2147483648
    print x, int(exp(10)), sprintf("%.10f", atan2(1, 2))
    while (i-- > 199990) a[i % 3] = a[i % 3] i
    n = asort(a, b); print n, b[1]
    print "to stderr" > "/dev/stderr"
}
